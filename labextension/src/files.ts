/** Files of the Jupyter server as bytes, in parts where the server can (JupyterLite and other drives may not). */

import { ServerConnection, type Contents } from '@jupyterlab/services';

import { memorySource, type ByteSource } from './bytes';

export const nameOf = (path: string): string => path.split('/').pop() ?? path;

export const folderOf = (path: string): string => path.split('/').slice(0, -1).join('/');

/** Read a whole file, byte for byte. */
export async function readBytes(contents: Contents.IManager, path: string): Promise<Uint8Array> {
  const model = await contents.get(path, { type: 'file', format: 'base64', content: true });
  const binary = atob(String(model.content).replace(/\s/g, ''));
  const data = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) {
    data[i] = binary.charCodeAt(i);
  }
  return data;
}

/** What the server says of a file, without its content; a file that is not there is said to be that. */
export async function describe(contents: Contents.IManager, path: string): Promise<Contents.IModel> {
  try {
    return await contents.get(path, { content: false });
  } catch (error) {
    if (isMissing(error)) {
      throw new Error(`${contents.localPath(path)}: there is no such file: it was deleted, moved or renamed.`);
    }
    throw error;
  }
}

/** When a file was last written; null where it is not there any more. */
export async function lastModified(contents: Contents.IManager, path: string): Promise<string | null> {
  try {
    return (await contents.get(path, { content: false })).last_modified;
  } catch (error) {
    if (isMissing(error)) {
      return null;
    }
    throw error;
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof ServerConnection.ResponseError && error.response.status === 404;

/** A file whose parts are asked for when they are wanted; the whole of it where the server gives no parts. */
export async function openBytes(
  contents: Contents.IManager,
  path: string,
  settings: ServerConnection.ISettings,
  largestWhole: number
): Promise<ByteSource> {
  const { size } = await describe(contents, path);
  if (typeof size === 'number' && size > 0) {
    try {
      const url = await contents.getDownloadUrl(path);
      const source = ranged(url, size, settings);
      await source.read(0, Math.min(16, size));
      return source;
    } catch {
      // Another drive, or a server that gives no parts: the whole file, below.
    }
  }
  if (typeof size === 'number' && size > largestWhole) {
    throw new Error('The file is too large to be read whole, and this server does not give parts of files.');
  }
  return memorySource(await readBytes(contents, path));
}

function ranged(url: string, size: number, settings: ServerConnection.ISettings): ByteSource {
  return {
    size,
    read: async (start, end) => {
      end = Math.min(end, size);
      if (end <= start) {
        return new Uint8Array(0);
      }
      // Not from the browser's cache: the file may have been written anew since.
      const headers = { Range: `bytes=${start}-${end - 1}` };
      const response = await ServerConnection.makeRequest(url, { method: 'GET', headers, cache: 'no-store' }, settings);
      // A server that is asked for all of a file may answer with 200, as Tornado does.
      if (response.status !== 206 && !(response.status === 200 && end - start === size)) {
        await response.body?.cancel();
        throw new Error('The server gives no parts of files.');
      }
      return new Uint8Array(await response.arrayBuffer());
    }
  };
}
