/*
 * `widget.js`: one script tag on anybody's page. Draws the bubble, and fetches the panel when somebody is about to open it.
 *
 * Everything is in a shadow root, so neither page's style reaches the other. Style comes as constructed sheets and no
 * markup is made from strings, so a page may forbid inline style and demand trusted types. The only global is `Parley`.
 */
import bubbleStyle from "./bubble.css";
import { Home } from "../conversation/home";
import { isOfInputMethod } from "../conversation/keys";
import { inkOn, legibleOn, rgbOf } from "./colours";
import { type Options, readOptions } from "./options";
import type { Panel, Place } from "./panel";

/** Where the panel is, below the API; the build fills it in. */
declare const PANEL_ADDRESS: string;

interface Parley {
  open: () => void;
  close: () => void;
  destroy: () => void;
}

declare global {
  interface Window {
    Parley?: Parley;
  }
}

const SMALL = "(max-width: 480px), (max-height: 480px)"; // a phone, on which the panel takes the whole screen
const DARK = "(prefers-color-scheme: dark)";
const KEYS = ["keydown", "keyup", "keypress"] as const;
const MARK =
  "M6 11.500C6 8.500 8.500 6 11.500 6h9C23.500 6 26 8.500 26 11.500v5c0 3-2.500 5.500-5.500 5.500H15l-5.800 4.600c-.6.5-1.500.1-1.500-.7v-4.700C6.600 20 6 18.300 6 16.500z";
const DOWN = "M8.500 13l7.500 7.500 7.500-7.500";
const GROUNDS = { light: ["#ffffff", "#f7f6f2"], dark: ["#1f2421", "#161917"] }; // panel.css has them

function begin(options: Options): Parley {
  const host = document.createElement("parley-widget");
  const shadow = host.attachShadow({ mode: "open" });
  shadow.adoptedStyleSheets = [sheetOf(bubbleStyle)];
  const widget = shadow.appendChild(document.createElement("div"));
  widget.className = "widget";
  widget.dir = options.direction;
  widget.dataset.side = options.side;
  const bubble = widget.appendChild(document.createElement("button"));
  bubble.type = "button";
  bubble.className = "bubble-button";
  bubble.append(drawing("mark", MARK), drawing("down", DOWN));
  bubble.setAttribute("aria-haspopup", "dialog");

  const home = new Home(options.api, options.bot, () => localStorage, `parley ${options.api}`);
  // Not at once: a page that takes away whatever it does not know would hang.
  const swaps = new MutationObserver(() => requestAnimationFrame(stay));
  let panel: Promise<Panel> | null = null;
  let failures = 0; // of loading the panel
  let isOpen = false;
  let hasNews = false;
  let isOver = false;
  const small = matchMedia(SMALL);
  const dark = matchMedia(DARK);

  const place: Place = {
    widget,
    options,
    isSmall: small,
    close,
    news: () => {
      hasNews ||= !isOpen;
      tell();
    },
  };

  function load(): Promise<Panel> {
    if (!panel) {
      const address = new URL(PANEL_ADDRESS, options.api);
      if (failures > 0) address.searchParams.set("again", String(failures)); // browsers keep that an address failed
      panel = import(address.href).then(({ style, mount }) => {
        shadow.adoptedStyleSheets = [...shadow.adoptedStyleSheets, sheetOf(style)];
        return mount(place) as Panel;
      });
      panel.catch(() => {
        panel = null; // the next click tries again
        failures += 1;
      });
    }
    return panel;
  }

  /** Says on the bubble what pressing it does. */
  function tell(problem = "") {
    const name = options.title ? `: ${options.title}` : "";
    const more = problem || (hasNews ? "New message" : "");
    bubble.setAttribute("aria-label", `${isOpen ? "Close" : "Open"} chat${name}${more && ` (${more})`}`);
    bubble.setAttribute("aria-expanded", String(isOpen));
    bubble.classList.toggle("has-news", hasNews);
    widget.classList.toggle("open", isOpen);
  }

  /** `isQuiet`: nobody asked for it, and the focus stays where it is. */
  async function open(isQuiet = false) {
    if (isOpen || isOver) return;
    isOpen = true;
    hasNews = false;
    if (!isQuiet) home.keep("closed", null);
    tell();
    bubble.setAttribute("aria-busy", "true");
    try {
      const loaded = await load();
      if (isOpen) loaded.show(isQuiet);
    } catch {
      isOpen = false;
      tell("It could not be loaded; try again");
    } finally {
      bubble.removeAttribute("aria-busy");
    }
  }

  function close() {
    if (!isOpen) return;
    isOpen = false;
    if (options.isOpen) home.keep("closed", true);
    tell();
    panel?.then((loaded) => isOpen || loaded.hide(), nothing);
    if (shadow.activeElement) bubble.focus({ preventScroll: true });
  }

  function colour() {
    const theme = options.theme === "auto" ? (dark.matches ? "dark" : "light") : options.theme;
    const brand = rgbOf(options.colour)!;
    widget.dataset.theme = theme;
    widget.style.setProperty("--brand", options.colour);
    widget.style.setProperty("--on-brand", inkOn(brand));
    const accent = legibleOn(GROUNDS[theme].map((ground) => rgbOf(ground)!), brand);
    widget.style.setProperty("--accent", accent);
    widget.style.setProperty("--on-accent", inkOn(rgbOf(accent)!));
  }

  /** What is typed here is no shortcut of the page's. Escape closes from wherever the focus is in here. */
  function key(event: KeyboardEvent) {
    event.stopPropagation();
    if (event.type === "keydown" && event.key === "Escape" && isOpen && !isOfInputMethod(event)) {
      event.preventDefault();
      close();
    }
  }

  function draw() {
    if (isOver) return;
    stay();
    if (options.isOpen && !small.matches && !home.kept("closed")) void open(true);
  }

  /** Where a page swaps its body instead of being loaded anew, the bubble and what is open go into the new one. */
  function stay() {
    if (isOver) return;
    const nodes = [document, document.documentElement, document.body as Node | null]; // as they are now
    for (const node of nodes) if (node) swaps.observe(node, { childList: true });
    if (host.isConnected || !document.body) return;
    document.body.append(host);
    panel?.then((loaded) => isOpen && loaded.show(true), nothing);
  }

  function preload() {
    load().catch(nothing); // it was not asked for yet
  }

  function destroy() {
    isOver = true;
    isOpen = false;
    panel?.then((loaded) => loaded.destroy(), nothing);
    dark.removeEventListener("change", colour);
    document.removeEventListener("DOMContentLoaded", draw);
    swaps.disconnect();
    host.remove();
    if (window.Parley === parley) delete window.Parley;
  }

  for (const kind of KEYS) widget.addEventListener(kind, key);
  bubble.addEventListener("click", () => (isOpen ? close() : void open()));
  bubble.addEventListener("pointerenter", preload);
  bubble.addEventListener("focus", preload);
  dark.addEventListener("change", colour);
  colour();
  tell();
  if (document.body) draw();
  else document.addEventListener("DOMContentLoaded", draw);
  const parley: Parley = Object.freeze({ open: () => void open(), close, destroy });
  return parley;
}

function nothing() {}

function sheetOf(style: string): CSSStyleSheet {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  return sheet;
}

function drawing(name: string, path: string): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", name);
  svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path")).setAttribute("d", path);
  return svg;
}

const script = document.currentScript as HTMLScriptElement | null;
if (window.Parley) {
  console.warn("Parley's widget is on this page already. One page has one; Parley.destroy() makes room for another.");
} else if (script) {
  const { language, direction } = {
    language: document.documentElement.lang || navigator.language,
    direction: getComputedStyle(document.documentElement).direction,
  };
  window.Parley = begin(readOptions(script.src, { ...script.dataset }, { language, direction }));
}
