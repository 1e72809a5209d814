/* What a key is, where browsers do not agree. */

const OF_AN_INPUT_METHOD = 229; // the only sign in Safari, which ends a composition before it tells of the key that ended it

/** Whether a key goes to an input method, as the Enter that takes what it proposes. */
export function isOfInputMethod({ isComposing, keyCode }: KeyboardEvent): boolean {
  return isComposing || keyCode === OF_AN_INPUT_METHOD;
}
