/** What a list is searched with, as in the widgets: part of a name, a pattern with * and ?, or a regular expression. */

export const SEARCH_HELP =
  'Part of a name. With * and ? the whole name: backbone.*weight. A regular expression: re:conv[0-9]+$ or /conv[0-9]+$/';

export interface Matcher {
  fits: (name: string) => boolean;
  /** Why a regular expression cannot be read; then nothing fits. */
  error: string;
}

const SPECIAL = /[\\^$.*+?()[\]{}|]/g;

/** The expression in "re:…", or in "/…/" where it cannot be part of a name as exporters write them; else null. */
function expressionIn(text: string): string | null {
  if (/^re:/i.test(text)) {
    return text.slice(3);
  }
  const between = /^\/(.+)\/$/.exec(text)?.[1];
  return between && /[\\^$*+?()[\]{}|]/.test(between) ? between : null;
}

/** How to look for a text, whatever its case. Everything fits an empty text. */
export function matcher(wanted: string): Matcher {
  const text = wanted.trim();
  const expression = expressionIn(text);
  if (expression !== null) {
    try {
      const pattern = new RegExp(expression, 'i');
      return { error: '', fits: name => pattern.test(name) };
    } catch (error) {
      return { error: (error as Error).message, fits: () => false };
    }
  }
  if (/[*?]/.test(text)) {
    const wild: Record<string, string> = { '*': '.*', '?': '.' };
    const pattern = new RegExp(`^${text.replace(SPECIAL, c => wild[c] ?? `\\${c}`)}$`, 'isu');
    return { error: '', fits: name => pattern.test(name) };
  }
  const lower = text.toLowerCase();
  return { error: '', fits: name => name.toLowerCase().includes(lower) };
}
