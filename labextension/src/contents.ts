/** What is in the documents: calibration files and sessions, and the layers of a model. */

import { showErrorMessage } from '@jupyterlab/apputils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { FileDialog } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';

import { FileContent, type Services, type View } from './document';
import type { ByteSource } from './bytes';
import { detectFormat } from './formats/detect';
import { readScaleFile, type ScaleFile } from './formats/reading';
import { printable, startsWith } from './formats/text';
import { isSessionName, looksLikeScaleFile } from './filetypes';
import { describe, folderOf, lastModified, nameOf, openBytes, readBytes } from './files';
import { relativePath } from './notebooks';
import { readOnnx } from './onnx/model';
import { readSession } from './session/session';
import { OnnxView } from './view/onnx';
import { ScaleFileView, type NamedFile } from './view/scaleFile';
import { SessionView } from './view/session';
import { fileSize } from './words';

/** Larger files are no calibration caches: 64 MB are a million rows. */
const LARGEST_TEXT = 64e6;
const LARGEST_WHOLE = 256e6;

/** A scale file, alone or beside another one, or a saved session: told apart by their content. */
export class CalibrationContent extends FileContent {
  /** Whether the file turned out to be a saved session. */
  isSession = false;
  /** Called when `other` is another file than before, or none. */
  onOther: () => void = () => undefined;
  /** Path of the file that is shown beside this one. */
  private other_: string | null = null;
  /** The second file as it was read last. */
  private second: (NamedFile & { path: string }) | null = null;

  constructor(context: DocumentRegistry.Context, services: Services) {
    super(context, services);
    services.contents.fileChanged.connect(this.followOther, this);
  }

  dispose(): void {
    this.services.contents.fileChanged.disconnect(this.followOther, this);
    super.dispose();
  }

  /** Path of the file that is shown beside this one; null where there is none. */
  get other(): string | null {
    return this.other_;
  }

  private set other(path: string | null) {
    if (path !== this.other_) {
      this.other_ = path;
      this.onOther();
    }
  }

  protected get beside(): string[] {
    return this.other === null || this.isSession ? [] : [this.other];
  }

  /** A second file that is renamed in JupyterLab stays the second file, as the first one stays the first. */
  private followOther(_: Contents.IManager, { type, oldValue, newValue }: Contents.IChangedArgs): void {
    const from = oldValue?.path;
    const to = newValue?.path;
    if (type !== 'rename' || this.other === null || !from || !to) {
      return;
    }
    if (this.other === from || this.other.startsWith(`${from}/`)) {
      this.other = to + this.other.slice(from.length);
      this.second = this.second && { ...this.second, path: this.other };
      void this.load();
    }
  }

  protected async makeView(): Promise<View> {
    const { contents, settings } = this.services;
    this.remark = '';
    const source = await openBytes(contents, this.context.path, settings, LARGEST_WHOLE);
    this.isSession = startsWith(await source.read(0, 4), 0x50, 0x4b, 3, 4);
    if (this.isSession) {
      return new SessionView(this.filename, await readSession(source, this.filename), this.onTheme);
    }
    if (source.size > LARGEST_TEXT) {
      throw new Error(`${this.filename}: with ${fileSize(source.size)} this is no calibration file.`);
    }
    const file = await this.readFirst(source);
    const other = await this.readOther();
    return new ScaleFileView({ name: this.filename, file }, other, this.onTheme, () => this.compareWith(null));
  }

  /** The document's own file; one that is called a session and is nothing else is a damaged session. */
  private async readFirst(source: ByteSource): Promise<ScaleFile> {
    const data = await source.read(0, source.size);
    if (isSessionName(this.filename) && detectFormat(data) === 'unknown') {
      await readSession(source, this.filename);
    }
    return readScaleFile(data, this.filename);
  }

  /** The second file, read anew; where it cannot be read, that is said, and what was read last of it stays. */
  private async readOther(): Promise<NamedFile | null> {
    const { contents } = this.services;
    const path = this.other;
    if (path === null) {
      this.second = null;
      return null;
    }
    const name = nameOf(path);
    try {
      const { size } = await describe(contents, path);
      if ((size ?? 0) > LARGEST_TEXT) {
        throw new Error(`${name}: with ${fileSize(size!)} this is no calibration file.`);
      }
      this.second = { path, name, file: readScaleFile(await readBytes(contents, path), name) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.second?.path !== path) {
        this.other = null;
        void showErrorMessage('The files cannot be compared', reason);
        return null;
      }
      if ((await lastModified(contents, path)) !== null) {
        this.remark = `${printable(reason)} What is shown of ${printable(name)} was read before.`;
      }
    }
    return this.second;
  }

  /** Show another file beside this one; null ends that. */
  async showBeside(path: string | null): Promise<void> {
    this.other = path;
    await this.load();
  }

  /** Do that, and go on there. */
  async compareWith(path: string | null): Promise<void> {
    await this.showBeside(path);
    this.view?.focus();
  }

  /** Path of the second file as a notebook in `folder` has to write it; null without one. */
  otherPath(folder: string): string | null {
    const { contents } = this.services;
    return this.other && relativePath(contents.localPath(folder), contents.localPath(this.other));
  }

  /** Throws why the file cannot be shown, where it cannot: nothing goes on from there. */
  demandShown(): void {
    if (this.reason) {
      throw new Error(printable(this.reason));
    }
  }

  /** Ask for the file to compare with. */
  async askToCompare(): Promise<void> {
    this.demandShown();
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
