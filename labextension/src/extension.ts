/** TensorRT calibration in JupyterLab: viewers without a kernel, commands, a launcher card. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager, showErrorMessage, WidgetTracker } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';

import { addCommands, CommandIDs } from './commands';
import { CalibrationContent, OnnxContent } from './contents';
import { FileWidgetFactory, UnreadModelFactory, type FileContent, type Services } from './document';
import { CALIBRATION_FACTORY, CALIBRATION_TYPES, LAYERS_FACTORY, ONNX_TYPE } from './filetypes';
import { calibrationIcon, layersIcon } from './icons';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'trtcal_widgets:plugin',
  description: 'Opens TensorRT calibration files and sessions without a kernel, and calibrates ONNX models.',
  autoStart: true,
  requires: [IDocumentManager],
  optional: [ICommandPalette, ILauncher, ILayoutRestorer, IThemeManager, IDefaultFileBrowser],
  activate: (
    app: JupyterFrontEnd,
    docManager: IDocumentManager,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null,
    themes: IThemeManager | null,
    browser: IDefaultFileBrowser | null
  ): void => {
    const services: Services = {
      docManager,
      contents: app.serviceManager.contents,
      settings: app.serviceManager.serverSettings,
      themes
    };
    const calibrations = addCalibrations(app, services);
    const layers = addLayers(app, services);
    addCommands(app, services, calibrations, browser);
    void restorer?.restore(calibrations, {
      command: CommandIDs.restore,
      args: ({ context, content }) => ({ path: context.path, beside: content.other }),
      name: widget => widget.context.path
    });
    void restorer?.restore(layers, {
      command: 'docmanager:open',
      args: widget => ({ path: widget.context.path, factory: LAYERS_FACTORY }),
      name: widget => widget.context.path
    });
    const category = 'TensorRT calibration';
    for (const command of [CommandIDs.calibrate, CommandIDs.view, CommandIDs.compare, CommandIDs.layers, CommandIDs.notebook]) {
      palette?.addItem({ command, category, args: { isPalette: true } });
    }
    launcher?.add({ command: CommandIDs.calibrate, category: 'Other', rank: 10, args: { isLauncher: true } });
    addContextMenu(app);
  }
};

export default plugin;

function addCalibrations(app: JupyterFrontEnd, services: Services): WidgetTracker<DocumentWidget<CalibrationContent>> {
  const tracker = new WidgetTracker<DocumentWidget<CalibrationContent>>({ namespace: 'trtcal-calibrations' });
  CALIBRATION_TYPES.forEach(type => app.docRegistry.addFileType(type));
  app.docRegistry.addModelFactory(new UnreadModelFactory());
  const names = CALIBRATION_TYPES.map(({ name }) => name!);
  const factory = new FileWidgetFactory<CalibrationContent>(
    {
      name: CALIBRATION_FACTORY,
      modelName: UnreadModelFactory.modelName,
      fileTypes: [...names, 'text', 'json'],
      defaultFor: names,
      readOnly: true
    },
    calibrationIcon,
    [
      {
        name: 'compare',
        label: 'Compare with…',
        tooltip: 'Show another file beside this one',
        run: widget => app.commands.execute(CommandIDs.compare, { id: widget.id })
      },
      {
        name: 'notebook',
        label: 'Open in a notebook',
        tooltip: 'Make a notebook that goes on from here',
        run: widget => app.commands.execute(CommandIDs.notebook, { id: widget.id })
      }
    ],
    context => new CalibrationContent(context, services)
  );
  follow(factory, tracker);
  factory.widgetCreated.connect((_, widget) => {
    widget.content.onOther = () => void tracker.save(widget);
  });
  app.docRegistry.addWidgetFactory(factory);
  return tracker;
}

function addLayers(app: JupyterFrontEnd, services: Services): WidgetTracker<DocumentWidget<OnnxContent>> {
  const tracker = new WidgetTracker<DocumentWidget<OnnxContent>>({ namespace: 'trtcal-layers' });
  // Another extension may know ONNX files already, under whatever name.
  const known = app.docRegistry.getFileTypesForPath('model.onnx')[0]?.name;
  if (!known) {
    app.docRegistry.addFileType(ONNX_TYPE);
  }
  const name = known ?? ONNX_TYPE.name!;
  const factory = new FileWidgetFactory<OnnxContent>(
    {
      name: LAYERS_FACTORY,
      modelName: UnreadModelFactory.modelName,
      fileTypes: [name],
      defaultFor: known ? [] : [name],
      readOnly: true
    },
    layersIcon,
    [
      {
        name: 'calibrate',
        label: 'Calibrate for TensorRT…',
        tooltip: 'Make a notebook that calibrates this model',
        run: widget => app.commands.execute(CommandIDs.calibrate, { path: widget.context.path })
      }
    ],
    context => new OnnxContent(context, services)
  );
  follow(factory, tracker);
  app.docRegistry.addWidgetFactory(factory);
  return tracker;
}

function follow<T extends FileContent>(factory: FileWidgetFactory<T>, tracker: WidgetTracker<DocumentWidget<T>>): void {
  factory.widgetCreated.connect((_, widget) => {
    widget.context.pathChanged.connect(() => void tracker.save(widget));
    tracker.add(widget).catch(error => void showErrorMessage('The viewer cannot be kept', String(error)));
  });
}

function addContextMenu(app: JupyterFrontEnd): void {
  const file = '.jp-DirListing-item[data-isdir="false"]';
  const items = [CommandIDs.calibrate, CommandIDs.layers, CommandIDs.view, CommandIDs.compare];
  items.forEach((command, i) =>
    app.contextMenu.addItem({ command, selector: file, rank: 2 + i / 10, args: { isContextMenu: true } })
  );
}
