/* What the person thinks of a reply: a thumb up or down, which may be changed. */
import { useContext, useState } from "react";

import { Problem, rate } from "../conversation/api";
import type { Rating } from "../conversation/entries";
import { AtHome } from "../conversation/markdown";

const THUMB =
  "M7 10.500v9H4.500a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1zm0 0 4-7a2 2 0 0 1 2 2.300L12.500 9h5.700a2 2 0 0 1 2 2.400l-1.300 6.500a2 2 0 0 1-2 1.600H7";

export function Feedback({ turnId, given }: { turnId: string; given: Rating | undefined }) {
  const home = useContext(AtHome);
  const [rating, setRating] = useState(given);
  const [told, tell] = useState("");

  async function give(next: Rating) {
    const pass = home.remembered;
    if (!pass || next === rating) return;
    setRating(next);
    try {
      await rate(home, pass, turnId, next);
      tell("Thank you");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setRating(rating);
      tell(error.message);
    }
  }

  return (
    <span className="feedback" role="group" aria-label="What do you think of this reply?">
      <Thumb name="Good reply" isPressed={rating === "up"} press={() => void give("up")} />
      <Thumb name="Bad reply" isPressed={rating === "down"} press={() => void give("down")} isDown />
      <span className="told" role="status">
        {told}
      </span>
    </span>
  );
}

interface Pressed {
  name: string;
  isPressed: boolean;
  isDown?: boolean;
  press: () => void;
}

function Thumb({ name, isPressed, isDown = false, press }: Pressed) {
  return (
    <button type="button" className="thumb" aria-label={name} title={name} aria-pressed={isPressed} onClick={press}>
      <svg viewBox="0 0 24 24" aria-hidden="true" className={isDown ? "upside-down" : undefined}>
        <path d={THUMB} />
      </svg>
    </button>
  );
}
