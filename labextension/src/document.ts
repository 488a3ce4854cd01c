/** Documents without a kernel: what the viewers have in common. */

import { showErrorMessage, type IThemeManager } from '@jupyterlab/apputils';
import { ABCWidgetFactory, DocumentWidget, TextModelFactory, type DocumentRegistry } from '@jupyterlab/docregistry';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { Contents, ServerConnection } from '@jupyterlab/services';
import { refreshIcon, ToolbarButton, type LabIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { printable } from './formats/text';
import { lastModified, nameOf } from './files';
import { h } from './view/dom';
import type { PanelState } from './view/panel';
import { released } from './view/press';

export interface Services {
  docManager: IDocumentManager;
  contents: Contents.IManager;
  settings: ServerConnection.ISettings;
  themes: IThemeManager | null;
}

/** How often a file that is looked at is asked after, in milliseconds: the server tells nobody that one was written. */
const WATCH = 3000;

export interface View {
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
  /** When what is shown was written, by its path: the document's own file first. Null where there is none. */
  private written = new Map<string, string | null>();
  /** Why the file cannot be shown; "" where it is. */
  reason = '';
  /** What there is to say of what is shown, beside that files are gone. */
  protected remark = '';
  private state: PanelState | null = null;
  private readonly gone = h('div', { class: 'trtcal-gone', role: 'status', 'data-testid': 'trtcal-gone' });
  private readonly shown = h('div', { class: 'trtcal-shown' });
  private readonly watch = setInterval(() => void this.lookAgain(), WATCH);

  constructor(
    protected readonly context: DocumentRegistry.Context,
    protected readonly services: Services
  ) {
    super();
    this.addClass('trtcal-viewer');
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
    return nameOf(this.context.path);
  }

  /** Read the file (again) and show it. */
  async load(): Promise<void> {
    if (!this.context.isReady || this.isDisposed) {
      return;
    }
    const generation = (this.generation += 1);
    try {
      const written = await this.lastWritten();
      if (generation === this.generation) {
        this.written = written;
      }
      const view = await this.makeView();
      await released();
      if (generation === this.generation && !this.isDisposed) {
        this.reason = '';
        this.sayGone(written);
        this.show_(view);
      } else {
        view.dispose();
      }
    } catch (error) {
      if (generation === this.generation && !this.isDisposed) {
        this.remark = '';
        this.sayGone(new Map());
        this.reason = error instanceof Error ? error.message : String(error);
        this.show_(this.refusal(this.reason));
      }
    }
  }

  /** Paths of files that are shown beside the document's own. */
  protected get beside(): string[] {
    return [];
  }

  private async lastWritten(): Promise<Map<string, string | null>> {
    const paths = [this.context.path, ...this.beside];
    const found = paths.map(async path => [path, await lastModified(this.services.contents, path)] as const);
    return new Map(await Promise.all(found));
  }

  /** Whoever looks at files sees what they hold now: they are read again when one was written, and said to be gone. */
  private async lookAgain(): Promise<void> {
    if (!this.context.isReady || !this.isVisible || document.hidden) {
      return;
    }
    const { generation } = this;
    let written: Map<string, string | null>;
    try {
      written = await this.lastWritten();
    } catch {
      return; // the server does not answer: JupyterLab says so itself
    }
    if (generation !== this.generation || this.isDisposed) {
      return;
    }
    this.sayGone(written);
    if ([...written].some(([path, time]) => time !== null && time !== this.written.get(path))) {
      await this.load();
    }
  }

  /** Say which files are not there any more; where the document's own was not there when it was read, that is shown. */
  private sayGone(written: Map<string, string | null>): void {
    const names = [...written]
      .filter(([path, time]) => time === null && (path !== this.context.path || this.written.get(path)))
      .map(([path]) => printable(nameOf(path)));
    const gone = names.length
      ? `${names.join(' and ')} ${names.length > 1 ? 'were' : 'was'} deleted, moved or renamed: shown is what was read last.`
      : '';
    const text = [gone, this.remark].filter(part => part).join(' ');
    if (this.gone.textContent !== text) {
      this.gone.textContent = text; // said again for nothing, it would be read aloud every few seconds
    }
    this.gone.hidden = !text;
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
    const focused = this.node.contains(document.activeElement) ? (document.activeElement as HTMLElement) : null;
    this.state = this.view?.state ?? this.state;
    this.view?.dispose();
    this.view = view;
    this.shown.replaceChildren(view.node);
    if (this.state) {
      view.restore?.(this.state);
    }
    if (focused && focusLike(view.node, focused)) {
      return;
    }
    if (this.focusWanted || focused) {
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

/** Put the focus where it was in what has been replaced: whoever types a search goes on typing. */
function focusLike(node: HTMLElement, before: HTMLElement): boolean {
  const { testid } = before.dataset;
  const after = testid && node.querySelector<HTMLElement>(`[data-testid="${CSS.escape(testid)}"]`);
  if (!after) {
    return false;
  }
  after.focus({ preventScroll: true });
  if (after instanceof HTMLInputElement && before instanceof HTMLInputElement) {
    after.setSelectionRange(before.selectionStart, before.selectionEnd);
  }
  return true;
}

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
