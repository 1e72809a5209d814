/*
 * One colour of the page's owner, made legible: whatever it is, text on it and text in it can be read.
 *
 * Pure. Source: WCAG 2.2, relative luminance and contrast ratio.
 */

export type Rgb = readonly [number, number, number]; // 0 to 255

const LEGIBLE = 4.5; // contrast that text of normal size needs, WCAG 2.2 AA
const STEPS = 20; // between the colour and black or white
const BLACK: Rgb = [0, 0, 0];
const WHITE: Rgb = [255, 255, 255];

/** The colour in `#rgb` or `#rrggbb`; null for anything else. */
export function rgbOf(text: string): Rgb | null {
  const digits = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(text.trim())?.[1];
  if (!digits) return null;
  const [red, green, blue] = digits.length === 3 ? [...digits].map((digit) => digit + digit) : digits.match(/../g)!;
  return [parseInt(red!, 16), parseInt(green!, 16), parseInt(blue!, 16)];
}

/** From 1 (the same) to 21 (black and white). */
export function contrast(one: Rgb, other: Rgb): number {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (lighter + 0.05) / (darker + 0.05);
}

/** Black or white, whichever is easier to read on the colour: never below 4.58. */
export function inkOn(colour: Rgb): string {
  return contrast(WHITE, colour) >= LEGIBLE || contrast(WHITE, colour) >= contrast(BLACK, colour) ? "#ffffff" : "#000000";
}

/** The colour, made lighter or darker as far as text in it can be read on all of the grounds. */
export function legibleOn(grounds: readonly Rgb[], colour: Rgb): string {
  const towards = Math.max(...grounds.map(luminance)) > 0.2 ? BLACK : WHITE;
  for (let step = 0; step <= STEPS; step += 1) {
    const mixed = mix(colour, towards, step / STEPS);
    if (grounds.every((ground) => contrast(mixed, ground) >= LEGIBLE)) return hexOf(mixed);
  }
  return hexOf(towards);
}

function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const [red, green, blue] = from.map((part, index) => Math.round(part + (to[index]! - part) * share));
  return [red!, green!, blue!];
}

function hexOf(colour: Rgb): string {
  return `#${colour.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

function luminance(colour: Rgb): number {
  const [red, green, blue] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}
