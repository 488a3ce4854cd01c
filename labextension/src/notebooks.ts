/** Notebooks that begin where a viewer ends, and the one that calibrates a model. */

import type { Contents } from '@jupyterlab/services';

import { pythonRepr } from './formats/text';

export interface Kernel {
  name: string;
  displayName: string;
}

type Cell = { markdown: string } | { code: string };

/** Look into a scale file with the package's own viewer. */
export function viewerNotebook(file: string, other: string | null): Cell[] {
  const beside = other === null ? '' : `, other=${pythonRepr(other)}`;
  return [
    {
      markdown:
        'Give `model="model.onnx"` as well: rows that the model does not know and tensors that have no row are then ' +
        'pointed out.'
    },
    { code: `from trtcal_widgets import CacheViewer\n\nCacheViewer(${pythonRepr(file)}${beside})` }
  ];
}

/** Go on with a saved session. */
export function sessionNotebook(file: string): Cell[] {
  return [
    {
      code:
        'from trtcal_widgets import CalibrationExplorer, CalibrationSession\n\n' +
        `session = CalibrationSession.load(${pythonRepr(file)})\nCalibrationExplorer(session)`
    },
    {
      markdown:
        'To record more batches give `CalibrationSession.load` the model and the data as well: `model=`, `source=`.'
    }
  ];
}

export interface Calibration {
  model: string;
  data: string;
  batchSize: number;
  /** TensorRT that the files are for: "8.6.1"; "11" for an explicit Q/DQ model. */
  version: string;
}

/** Calibrate a model with a folder of data. */
export function calibrationNotebook({ model, data, batchSize, version }: Calibration): Cell[] {
  const stem = stemOf(model);
  return [
    { markdown: '# INT8 calibration for TensorRT\n\nRun the cells from the top; each says what it needs.' },
    {
      code:
        'from trtcal_widgets import CalibrationExplorer, CalibrationSession, ImageFolder\n\n' +
        `model = ${pythonRepr(model)}\ndata = ${pythonRepr(data)}`
    },
    {
      markdown:
        'The path of a folder of images is read in the size and layout of the model\'s input. The values must be those ' +
        'of the training, so give its mean and standard deviation: ' +
        '`data = ImageFolder(data, size=(224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))`.'
    },
    { code: `session = CalibrationSession(model, data, batch_size=${batchSize})\nCalibrationExplorer(session)` },
    { markdown: 'Run through all batches, here or with the buttons above, and look at the tensors that are marked.' },
    { code: 'session.run()' },
    version === '11'
      ? {
          code:
            'from trtcal_widgets.export.qdq import build_qdq\n\n' +
            `build_qdq(model, session).write(${pythonRepr(`${stem}.qdq.onnx`)})`
        }
      : { code: `session.to_cache(version=${pythonRepr(version)}).write(${pythonRepr(`${stem}.cache`)})` },
    { markdown: 'Keep what was recorded: a double click on the file shows it without a kernel.' },
    { code: `session.save(${pythonRepr(`${stem}.trtcal`)})` }
  ];
}

const stemOf = (path: string): string => path.split('/').pop()!.replace(/\.onnx$/i, '');

function content(cells: Cell[], kernel: Kernel | null): object {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: kernel ? { kernelspec: { name: kernel.name, display_name: kernel.displayName, language: 'python' } } : {},
    cells: cells.map((cell, i) => ({
      id: `cell-${i + 1}`,
      metadata: {},
      ...('code' in cell
        ? { cell_type: 'code', source: cell.code, execution_count: null, outputs: [] }
        : { cell_type: 'markdown', source: cell.markdown })
    }))
  };
}

/** Write a notebook under a name that is free; returns its path. */
export async function writeNotebook(
  contents: Contents.IManager,
  folder: string,
  stem: string,
  cells: Cell[],
  kernel: Kernel | null
): Promise<string> {
  const taken = new Set(
    ((await contents.get(folder, { content: true })).content as Contents.IModel[]).map(({ name }) => name)
  );
  let name = `${stem}.ipynb`;
  for (let n = 1; taken.has(name); n += 1) {
    name = `${stem}-${n}.ipynb`;
  }
  const path = folder ? `${folder.replace(/\/$/, '')}/${name}` : name;
  await contents.save(path, { type: 'notebook', format: 'json', content: content(cells, kernel) });
  return path;
}

/** Path of a file as a notebook in `folder` has to write it. */
export function relativePath(folder: string, path: string): string {
  const from = folder.split('/').filter(Boolean);
  const to = path.split('/').filter(Boolean);
  let same = 0;
  while (same < from.length && same < to.length && from[same] === to[same]) {
    same += 1;
  }
  return [...from.slice(same).map(() => '..'), ...to.slice(same)].join('/') || '.';
}
