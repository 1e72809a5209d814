/* What a key is, where browsers do not agree. */

const OF_AN_INPUT_METHOD = 229; // the only sign in Safari, where a composition is over before its last key is told

/** Whether a key goes to an input method, as the Enter that takes what it proposes. */
export function isOfInputMethod({ isComposing, keyCode }: KeyboardEvent): boolean {
  return isComposing || keyCode === OF_AN_INPUT_METHOD;
}
