/** Documents without a kernel: the viewer of calibration files and sessions, and the list of a model's layers. */

import { showErrorMessage, type IThemeManager } from '@jupyterlab/apputils';
import { ABCWidgetFactory, DocumentWidget, TextModelFactory, type DocumentRegistry } from '@jupyterlab/docregistry';
import { FileDialog } from '@jupyterlab/filebrowser';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { Contents, ServerConnection } from '@jupyterlab/services';
import { refreshIcon, ToolbarButton, type LabIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { readScaleFile } from './formats/reading';
import { printable, startsWith } from './formats/text';
import { looksLikeScaleFile } from './filetypes';
import { lastModified, openBytes, readBytes } from './files';
import { relativePath } from './notebooks';
import { readOnnx } from './onnx/model';
import { readSession } from './session/session';
import { h } from './view/dom';
import { OnnxView } from './view/onnx';
import type { PanelState } from './view/panel';
import { ScaleFileView, type NamedFile } from './view/scaleFile';
import { SessionView } from './view/session';
import { fileSize } from './words';

/** Larger files are no calibration caches: 64 MB are a million rows. */
const LARGEST_TEXT = 64e6;
const LARGEST_WHOLE = 256e6;

export interface Services {
  docManager: IDocumentManager;
  contents: Contents.IManager;
  settings: ServerConnection.ISettings;
  themes: IThemeManager | null;
}

/** How often a file that is looked at is asked after, in milliseconds: the server tells nobody that one was written. */
const WATCH = 3000;

interface View {
  node: HTMLElement;
  state?: PanelState;
  restore?: (state: PanelState) => void;
  focus: () => void;
  dispose: () => void;
}

/** A model of a document whose content is not fetched by JupyterLab: the viewers read the parts that they need. */
export class UnreadModelFactory extends TextModelFactory {
  static readonly modelName = 'trtcal-unread';

  get name(): string {
    return UnreadModelFactory.modelName;
  }

  get fileFormat(): Contents.FileFormat {
    return null;
  }
}

/**
 * Keep JupyterLab from writing what it never read, and from copying models of 2 GB to checkpoints: as for a file that
 * may not be written, which the file itself may well be.
 */
function neverSave(context: DocumentRegistry.Context): void {
  const contentsModel = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(context), 'contentsModel')!.get!;
  Object.defineProperties(context, {
    canSave: { configurable: true, get: () => false },
    contentsModel: {
      configurable: true,
      get: () => {
        const model = contentsModel.call(context) as Contents.IModel | null;
        return model && { ...model, writable: false };
      }
    },
    save: { configurable: true, value: () => Promise.resolve() },
    saveAs: {
      configurable: true,
      value: async () => {
        await showErrorMessage('A viewer does not save', 'Use Duplicate or Download in the file browser.');
        return false;
      }
    }
  });
}

/** The inside of a document: loads the file, shows a view or why there is none, and loads again when it changed. */
export abstract class FileContent extends Widget {
  protected view: View | null = null;
  private generation = 0;
  private focusWanted = false;
  /** When what is shown was written; null before it is known. */
  private written: string | null = null;
  private state: PanelState | null = null;
  private readonly gone = h('div', { class: 'trtcal-gone', role: 'status', 'data-testid': 'trtcal-gone' });
  private readonly shown = h('div', { class: 'trtcal-shown' });
  private readonly watch = setInterval(() => void this.lookAgain(), WATCH);

  constructor(
    protected readonly context: DocumentRegistry.Context,
    protected readonly services: Services
  ) {
    super();
    this.addClass('trtcal-root');
    this.node.tabIndex = -1;
    this.gone.hidden = true;
    this.shown.append(h('div', { class: 'trtcal-reading', role: 'status', text: 'Reading the file…' }));
    this.node.append(this.gone, this.shown);
    void context.ready.then(() => this.load());
    context.fileChanged.connect(this.load, this);
    context.pathChanged.connect(this.load, this);
  }

  dispose(): void {
    clearInterval(this.watch);
    this.view?.dispose();
    super.dispose();
  }

  get filename(): string {
    return this.context.path.split('/').pop() ?? this.context.path;
  }

  /** Read the file (again) and show it. */
  async load(): Promise<void> {
    if (!this.context.isReady || this.isDisposed) {
      return;
    }
    const generation = (this.generation += 1);
    try {
      const written = await lastModified(this.services.contents, this.context.path);
      if (generation === this.generation) {
        this.written = written;
        this.gone.hidden = true;
      }
      const view = await this.makeView();
      if (generation === this.generation && !this.isDisposed) {
        this.show_(view);
      } else {
        view.dispose();
      }
    } catch (error) {
      if (generation === this.generation && !this.isDisposed) {
        this.show_(this.refusal(error instanceof Error ? error.message : String(error)));
      }
    }
  }

  /** Whoever looks at a file sees what it holds now: it is read again when it was written, and said to be gone. */
  private async lookAgain(): Promise<void> {
    if (!this.context.isReady || !this.isVisible || document.hidden) {
      return;
    }
    const { generation } = this;
    let written: string | null;
    try {
      written = await lastModified(this.services.contents, this.context.path);
    } catch {
      return; // the server does not answer: JupyterLab says so itself
    }
    if (generation !== this.generation || this.isDisposed) {
      return;
    }
    this.gone.textContent = `${printable(this.filename)} was deleted, moved or renamed: shown is what was read last.`;
    this.gone.hidden = written !== null || this.written === null;
    if (written !== null && written !== this.written) {
      await this.load();
    }
  }

  protected abstract makeView(): Promise<View>;

  protected onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    if (this.view) {
      this.view.focus();
    } else {
      this.focusWanted = true;
      this.node.focus();
    }
  }

  protected show_(view: View): void {
    const hadFocus = this.node.contains(document.activeElement);
    this.state = this.view?.state ?? this.state;
    this.view?.dispose();
    this.view = view;
    this.shown.replaceChildren(view.node);
    if (this.state) {
      view.restore?.(this.state);
    }
    if (this.focusWanted || hadFocus) {
      this.focusWanted = false;
      view.focus();
    }
  }

  /** The theme's style sheet comes first, the attributes that say which theme it is a moment later. */
  protected onTheme = (redraw: () => void): (() => void) => {
    const { themes } = this.services;
    const observer = new MutationObserver(redraw);
    observer.observe(document.body, { attributeFilter: ['data-jp-theme-light', 'data-jp-theme-name'] });
    themes?.themeChanged.connect(redraw);
    return () => {
      observer.disconnect();
      themes?.themeChanged.disconnect(redraw);
    };
  };

  private refusal(message: string): View {
    const button = h('button', {
      type: 'button',
      class: 'jp-mod-styled trtcal-refusal-button',
      text: 'Open in the editor',
      'data-testid': 'trtcal-open-editor',
      on: { click: () => this.services.docManager.open(this.context.path, 'Editor') }
    });
    return {
      node: h(
        'div',
        { class: 'trtcal-refusal', role: 'alert', 'data-testid': 'trtcal-refusal' },
        h('strong', { text: 'This file cannot be shown here' }),
        h('p', { text: printable(message) }),
        button
      ),
      focus: () => button.focus(),
      dispose: () => undefined
    };
  }
}

/** A scale file, alone or beside another one, or a saved session: told apart by their content. */
export class CalibrationContent extends FileContent {
  /** Whether the file turned out to be a saved session. */
  isSession = false;
  private other: string | null = null;

  protected async makeView(): Promise<View> {
    const { contents, settings } = this.services;
    const source = await openBytes(contents, this.context.path, settings, LARGEST_WHOLE);
    this.isSession = startsWith(await source.read(0, 4), 0x50, 0x4b, 3, 4);
    if (this.isSession) {
      return new SessionView(this.filename, await readSession(source, this.filename), this.onTheme);
    }
    if (source.size > LARGEST_TEXT) {
      throw new Error(`${this.filename}: with ${fileSize(source.size)} this is no calibration file.`);
    }
    const file = readScaleFile(await source.read(0, source.size), this.filename);
    const other = await this.readOther();
    return new ScaleFileView({ name: this.filename, file }, other, this.onTheme, () => this.compareWith(null));
  }

  /** The second file, read anew; where it cannot be read, that is said and the first one is shown alone. */
  private async readOther(): Promise<NamedFile | null> {
    if (this.other === null) {
      return null;
    }
    const name = this.other.split('/').pop() ?? this.other;
    try {
      return { name, file: readScaleFile(await readBytes(this.services.contents, this.other), name) };
    } catch (error) {
      this.other = null;
      void showErrorMessage('The files cannot be compared', error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  /** Show another file beside this one; null ends that. */
  async compareWith(path: string | null): Promise<void> {
    this.other = path;
    await this.load();
    this.view?.focus();
  }

  /** Path of the second file as a notebook in `folder` has to write it; null without one. */
  otherPath(folder: string): string | null {
    const { contents } = this.services;
    return this.other && relativePath(contents.localPath(folder), contents.localPath(this.other));
  }

  /** Ask for the file to compare with. */
  async askToCompare(): Promise<void> {
    if (this.isSession) {
      await showErrorMessage(
        'A session cannot be compared here',
        'Its thresholds are computed when it is opened in a notebook: write its cache there (session.to_cache()) and compare the caches.'
      );
      return;
    }
    const path = await askForFile(this.services, `Compare ${this.filename} with`, looksLikeScaleFile, this.context.path);
    if (path !== null) {
      await this.compareWith(path);
    }
  }
}

/** The layers of an ONNX model. */
export class OnnxContent extends FileContent {
  protected async makeView(): Promise<View> {
    const { contents, settings } = this.services;
    const source = await openBytes(contents, this.context.path, settings, LARGEST_WHOLE);
    return new OnnxView(this.filename, source.size, await readOnnx(source, this.filename));
  }
}

/** Ask for a file among those that `fits` lets through by their name; null where the user cancels. */
export async function askForFile(
  { docManager }: Services,
  title: string,
  fits: (name: string) => boolean,
  near: string
): Promise<string | null> {
  const result = await FileDialog.getOpenFiles({
    manager: docManager,
    title,
    defaultPath: folderOf(near),
    filter: model => (model.type === 'directory' || fits(model.name) ? { score: 1 } : null)
  });
  const chosen = result.button.accept ? result.value?.[0] : undefined;
  return chosen && chosen.type !== 'directory' ? chosen.path : null;
}

export const folderOf = (path: string): string => path.split('/').slice(0, -1).join('/');

export type CalibrationDocument = DocumentWidget<CalibrationContent>;
export type OnnxDocument = DocumentWidget<OnnxContent>;

interface Action {
  label: string;
  tooltip: string;
  name: string;
  icon?: LabIcon;
  run: (widget: DocumentWidget<FileContent>) => unknown;
}

export class FileWidgetFactory<T extends FileContent> extends ABCWidgetFactory<DocumentWidget<T>> {
  constructor(
    options: DocumentRegistry.IWidgetFactoryOptions<DocumentWidget<T>>,
    private readonly icon: LabIcon,
    private readonly actions: Action[],
    private readonly makeContent: (context: DocumentRegistry.Context) => T
  ) {
    super(options);
  }

  protected createNewWidget(context: DocumentRegistry.Context): DocumentWidget<T> {
    neverSave(context);
    const content = this.makeContent(context);
    const widget = new DocumentWidget<T>({ content, context });
    widget.addClass('trtcal-document');
    widget.title.icon = this.icon;
    const reload: Action = {
      name: 'reload',
      label: '',
      tooltip: 'Read the file again',
      icon: refreshIcon,
      run: () => content.load()
    };
    for (const action of [...this.actions, reload]) {
      widget.toolbar.addItem(
        action.name,
        new ToolbarButton({
          label: action.label,
          tooltip: action.tooltip,
          icon: action.icon,
          onClick: () => void action.run(widget as unknown as DocumentWidget<FileContent>)
        })
      );
    }
    return widget;
  }
}
