/*
 * What the tab remembers: it outlives a reload, and ends with the tab.
 *
 * Where storage is switched off in a browser, nothing outlives a reload.
 */

/** The bot that the page's address asks for, as in `?bot=clinic`; null: the stack's default one. */
export const WANTED_BOT = new URLSearchParams(location.search).get("bot");

/** One origin may serve several stacks under different prefixes, and a stack several bots. */
const PREFIX = `parley ${new URL(document.baseURI).pathname}${WANTED_BOT ? ` ${WANTED_BOT}` : ""}`;

/** The conversation's id and token. */
export const CONVERSATION = PREFIX;

/** Whether replies are to be explained. */
export const EXPLAINING = `${PREFIX} explain`;

/** What was said and has no reply yet. */
export const UNDERWAY = `${PREFIX} underway`;

/** The turns whose answers the person agreed to wait for. */
export const WAITING = `${PREFIX} waiting`;

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
