/** What can be done from the palette, the launcher, the file browser and the toolbars. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { showErrorMessage, type WidgetTracker } from '@jupyterlab/apputils';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { calibrate } from './calibrate';
import { askForFile, type CalibrationContent } from './contents';
import type { Services } from './document';
import { folderOf, lastModified, nameOf } from './files';
import { CALIBRATION_FACTORY, isOnnxName, isSessionName, LAYERS_FACTORY, looksLikeScaleFile } from './filetypes';
import { calibrationIcon, layersIcon } from './icons';
import { sessionNotebook, viewerNotebook, writeNotebook, type Kernel } from './notebooks';

export const CommandIDs = {
  calibrate: 'trtcal:calibrate',
  layers: 'trtcal:show-layers',
  view: 'trtcal:view',
  compare: 'trtcal:compare',
  notebook: 'trtcal:open-in-notebook',
  /** Not for people: opens what was open when the page was left. */
  restore: 'trtcal:restore'
};

type Args = ReadonlyPartialJSONObject;

export function addCommands(
  app: JupyterFrontEnd,
  services: Services,
  tracker: WidgetTracker<DocumentWidget<CalibrationContent>>,
  browser: IDefaultFileBrowser | null
): void {
  const { commands, serviceManager } = app;
  const selected = (): string[] => Array.from(browser?.selectedItems() ?? [], ({ path }) => path);
  /** The file that a command is about: named, or the only one chosen in the file browser; "" where none is. */
  const fileOf = (args: Args, fits: (name: string) => boolean): string => {
    if (typeof args.path === 'string') {
      return args.path;
    }
    const paths = args.isContextMenu ? selected() : [];
    return paths.length === 1 && fits(nameOf(paths[0])) ? paths[0] : '';
  };
  const isVisible = (args: Args, fits: (name: string) => boolean): boolean =>
    !args.isContextMenu || fileOf(args, fits) !== '';
  const here = (): string => browser?.model.path ?? '';
  const open = (path: string, factory: string): unknown => commands.execute('docmanager:open', { path, factory });
  const current = (args: Args): DocumentWidget<CalibrationContent> | null =>
    typeof args.id === 'string' ? (tracker.find(widget => widget.id === args.id) ?? null) : tracker.currentWidget;

  /** The Python kernel that a new notebook gets: the server's default, or the first one there is. */
  const kernel = async (): Promise<Kernel | null> => {
    await serviceManager.kernelspecs.ready;
    const specs = serviceManager.kernelspecs.specs;
    const all = Object.values(specs?.kernelspecs ?? {});
    const found = [specs?.kernelspecs[specs.default], ...all].find(spec => spec?.language === 'python');
    return found ? { name: found.name, displayName: found.display_name } : null;
  };

  /** A failure is shown, with its reason; JupyterLab itself would only write it to the console. */
  const add = (id: string, options: Parameters<typeof commands.addCommand>[1]): void => {
    const { execute } = options;
    commands.addCommand(id, {
      ...options,
      execute: async args => {
        try {
          return await execute(args);
        } catch (error) {
          return showErrorMessage('That did not work', error instanceof Error ? error.message : String(error));
        }
      }
    });
  };

  add(CommandIDs.calibrate, {
    label: args => (args.isLauncher ? 'Calibrate a model for TensorRT' : args.isPalette ? 'Calibrate an ONNX Model for TensorRT…' : 'Calibrate for TensorRT…'),
    caption: 'Make a notebook that calibrates an ONNX model to INT8',
    icon: args => (args.isPalette ? undefined : calibrationIcon),
    isVisible: args => isVisible(args, isOnnxName),
    execute: async args => {
      const path = await calibrate(services, await kernel(), fileOf(args, isOnnxName), here());
      return path === null ? undefined : commands.execute('docmanager:open', { path });
    }
  });

  add(CommandIDs.layers, {
    label: args => (args.isPalette ? 'Show the Layers of an ONNX Model…' : 'Show Layers'),
    caption: 'List the layers of an ONNX model, without a kernel',
    icon: args => (args.isPalette ? undefined : layersIcon),
    isVisible: args => isVisible(args, isOnnxName),
    execute: async args => {
      const path = fileOf(args, isOnnxName) || (await askForFile(services, 'Choose an ONNX model', isOnnxName, `${here()}/x`));
      return path ? open(path, LAYERS_FACTORY) : undefined;
    }
  });

  // What is not there any more is forgotten without a word, by JupyterLab, which sees the failure.
  commands.addCommand(CommandIDs.restore, {
    execute: async ({ path: wanted, beside }) => {
      const path = String(wanted);
      if ((await lastModified(services.contents, path)) === null) {
        throw new Error(`${path} was deleted, moved or renamed.`);
      }
      const opened = (await open(path, CALIBRATION_FACTORY)) as DocumentWidget<CalibrationContent>;
      if (typeof beside === 'string') {
        void opened.content.showBeside(beside);
      }
      return opened;
    }
  });

  const viewable = (name: string): boolean => looksLikeScaleFile(name) || isSessionName(name);
  add(CommandIDs.view, {
    label: args => (args.isPalette ? 'View a Calibration File…' : 'View as Calibration File'),
    caption: 'Show what a calibration cache, a table or a session holds, without a kernel',
    icon: args => (args.isPalette ? undefined : calibrationIcon),
    isVisible: args => isVisible(args, viewable),
    execute: async args => {
      const path = fileOf(args, viewable) || (await askForFile(services, 'Choose a calibration file', viewable, `${here()}/x`));
      return path ? open(path, CALIBRATION_FACTORY) : undefined;
    }
  });

  /** Two files that are chosen in the file browser. */
  const pair = (): string[] => {
    const paths = selected();
    return paths.length === 2 && paths.every(path => looksLikeScaleFile(nameOf(path))) ? paths : [];
  };
  add(CommandIDs.compare, {
    label: args => (args.isPalette ? 'Compare Two Calibration Files…' : 'Compare Calibration Files'),
    caption: 'Show two calibration files side by side',
    icon: args => (args.isPalette ? undefined : calibrationIcon),
    isVisible: args => !args.isContextMenu || pair().length === 2,
    execute: async args => {
      const widget = args.isContextMenu || args.isPalette ? null : current(args);
      if (widget) {
        return widget.content.askToCompare();
      }
      const [a, b] = args.isContextMenu ? pair() : [];
      const first = a ?? (await askForFile(services, 'Choose a calibration file', looksLikeScaleFile, `${here()}/x`));
      if (!first) {
        return undefined;
      }
      const opened = (await open(first, CALIBRATION_FACTORY)) as DocumentWidget<CalibrationContent>;
      await opened.context.ready;
      return b ? opened.content.compareWith(b) : opened.content.askToCompare();
    }
  });

  add(CommandIDs.notebook, {
    label: args => (args.isPalette ? 'Open the Calibration File in a Notebook' : 'Open in a Notebook'),
    caption: 'Make a notebook that goes on from this file',
    isEnabled: args => current(args) !== null,
    execute: async args => {
      const widget = current(args);
      if (!widget) {
        return undefined;
      }
      const { content, context } = widget;
      content.demandShown();
      const name = content.filename;
      const cells = content.isSession ? sessionNotebook(name) : viewerNotebook(name, content.otherPath(folderOf(context.path)));
      const stem = name.replace(/\.[^.]*$/, '') || 'calibration';
      const path = await writeNotebook(services.contents, folderOf(context.path), stem, cells, await kernel());
      return commands.execute('docmanager:open', { path });
    }
  });
}
