import { LabIcon } from '@jupyterlab/ui-components';

/** A histogram with a threshold. */
export const calibrationIcon = new LabIcon({
  name: 'trtcal:calibration',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">' +
    '<path d="M3 20h18v1.6H3z"/><path d="M4 9h2.6v9.5H4zM8 4h2.6v14.5H8zM12 10.5h2.6v8H12zM18.6 15h2.4v3.5h-2.4z"/></g>' +
    '<path class="jp-icon-warn0" fill="#f57c00" d="M15.8 3h1.6v16h-1.6z"/></svg>'
});

/** Layers, one over the other. */
export const layersIcon = new LabIcon({
  name: 'trtcal:layers',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">' +
    '<path d="M12 3l9 4.6-9 4.6-9-4.6z"/><path d="M5.1 11.2L3 12.3l9 4.6 9-4.6-2.1-1.1-6.9 3.6zM5.1 15.7L3 16.8l9 4.6 9-4.6-2.1-1.1-6.9 3.6z"/>' +
    '</g></svg>'
});
