/*
 * What the tab remembers: it outlives a reload, and ends with the tab.
 *
 * Where storage is switched off in a browser, nothing outlives a reload.
 */

/** One origin may serve several stacks under different prefixes. */
const PREFIX = `parley ${new URL(document.baseURI).pathname}`;

/** The conversation's id and token. */
export const CONVERSATION = PREFIX;

/** Whether replies are to be explained. */
export const EXPLAINING = `${PREFIX} explain`;

export function keep(name: string, value: unknown): void {
  try {
    if (value === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, JSON.stringify(value));
  } catch {
    // Storage is switched off.
  }
}

export function kept<T>(name: string): T | null {
  try {
    return JSON.parse(sessionStorage.getItem(name) ?? "null") as T | null;
  } catch {
    return null;
  }
}
