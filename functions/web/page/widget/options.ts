/*
 * What the script tag says: `<script src="…/widget.js" data-bot="support" data-colour="#7a3cff" async></script>`.
 *
 * Pure. What cannot be read is as if it had not been said: a page is not broken by a widget.
 */
import { rgbOf } from "./colours.ts";

export interface Options {
  api: string; // where the script came from; ends with a slash
  bot: string | null; // null: the deployment's default one
  title: string | null; // null: the bot's own
  greeting: string | null;
  side: "left" | "right";
  colour: string; // as #rrggbb
  theme: "light" | "dark" | "auto";
  language: string; // of what is said, heard and read out
  direction: "ltr" | "rtl";
  isOpen: boolean; // from the beginning
}

/** What the page is like on which the tag stands. */
export interface Surroundings {
  language: string;
  direction: string;
}

const OWN_COLOUR = "#1f6f5c";
const WRITTEN_FROM_THE_RIGHT = /^(ar|arc|ckb|dv|fa|he|ku-arab|nqo|ps|sd|ug|ur|yi)\b/i;

export function readOptions(source: string, said: Record<string, string | undefined>, around: Surroundings): Options {
  const language = said.language || around.language;
  const direction = oneOf(["ltr", "rtl"] as const, said.dir) ?? directionOf(said.language, around.direction);
  return {
    api: new URL(".", source).href,
    bot: said.bot || null,
    title: said.title || null,
    greeting: said.greeting || null,
    side: oneOf(["left", "right"] as const, said.position) ?? (direction === "rtl" ? "left" : "right"),
    colour: said.colour && rgbOf(said.colour) ? said.colour : OWN_COLOUR,
    theme: oneOf(["light", "dark"] as const, said.theme) ?? "auto",
    language,
    direction,
    isOpen: said.open !== undefined && said.open !== "false",
  };
}

function directionOf(language: string | undefined, ofPage: string): "ltr" | "rtl" {
  if (language) return WRITTEN_FROM_THE_RIGHT.test(language) ? "rtl" : "ltr";
  return ofPage === "rtl" ? "rtl" : "ltr";
}

function oneOf<T extends string>(allowed: readonly T[], value: string | undefined): T | null {
  return allowed.find((each) => each === value) ?? null;
}
