/*
 * Why the bot said what it said: what it understood, what it did and why, what it remembered, and how long that took.
 *
 * Beside the thread where there is room for it, and a sheet over it elsewhere. Bars are drawn by attributes of SVG, since
 * the page's policy allows no inline style. Knows nothing of how explanations come here.
 */
import { Fragment, type ReactNode, useLayoutEffect, useRef, useSyncExternalStore } from "react";

import type { Citation, Explanation } from "./conversation/api";
import { place } from "./conversation/reply";

const ROOM = matchMedia("(min-width: 60rem)"); // as style.css has it
const TITLE = "why-title";
const CANDIDATES = 3; // beside the first; what follows is as good as nothing

const POLICIES: Record<string, string> = {
  rule: "A rule says so",
  story: "A story goes on like this",
  "nearest-story": "The nearest story goes on like this",
  form: "A form asks for what is missing",
  fallback: "Nothing else applied",
  followup: "The action before asked for it",
  "built-in": "Every bot does this",
};

interface Asked {
  explanation: Explanation;
  words: string; // that the bot replied to
  done: () => void;
}

export function Why({ explanation, words, done }: Asked) {
  const dialog = useRef<HTMLDialogElement>(null);
  const hasRoom = useSyncExternalStore(followRoom, () => ROOM.matches);

  useLayoutEffect(() => {
    const opened = dialog.current!;
    if (hasRoom) opened.show();
    else opened.showModal();
    return () => opened.close(); // gives the focus back
  }, [hasRoom]);

  const { understanding, steps, slots, form, knowledge, timings_ms } = explanation;
  return (
    <dialog
      ref={dialog}
      className="why"
      aria-labelledby={TITLE}
      onClose={({ currentTarget }) => !currentTarget.open && done()}
      onClick={({ target, currentTarget }) => target === currentTarget && !hasRoom && done()}
      onKeyDown={({ key }) => key === "Escape" && hasRoom && done()}
    >
      <div className="why-page">
        <div className="why-top">
          <h2 id={TITLE}>Why this reply?</h2>
          <button type="button" aria-label="Close" onClick={done}>
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <path d="m6 6 12 12M18 6 6 18" />
            </svg>
          </button>
        </div>
        {words && <p className="asked">{words}</p>}
        <Understood {...understanding} />
        {understanding.entities.length > 0 && <Entities entities={understanding.entities} />}
        {steps.length > 0 && <Steps steps={steps} />}
        {slots.length > 0 && <Slots slots={slots} />}
        {form && (
          <Part title="Form">
            <p>
              <code>{form.name}</code> {form.requested_slot ? "asks for " : "is under way"}
              {form.requested_slot && <code>{form.requested_slot}</code>}
            </p>
          </Part>
        )}
        {knowledge.length > 0 && <Knowledge passages={knowledge} />}
        <Times timings={timings_ms} />
      </div>
    </dialog>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section>
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Understood({ intent, confidence, ranking, in_scope, retrieval_intent }: Explanation["understanding"]) {
  const others = ranking.filter(({ name }) => name !== intent).slice(0, CANDIDATES);
  return (
    <Part title="Understood">
      <ul className="scales">
        <li className="first">
          <span className="name">{intent === null ? "Nothing it was taught" : breaking(retrieval_intent ?? intent)}</span>
          <Share of={intent === null ? 1 - in_scope : confidence} />
        </li>
        {others.map(({ name, confidence }) => (
          <li key={name}>
            <span className="name">{breaking(name)}</span>
            <Share of={confidence} />
          </li>
        ))}
      </ul>
    </Part>
  );
}

function Entities({ entities }: Pick<Explanation["understanding"], "entities">) {
  return (
    <Part title="Entities">
      <dl className="pairs">
        {entities.map(({ name, role, value, text }, index) => (
          <div key={index}>
            <dt>
              {breaking(name)}
              {role && <span className="badge">{role}</span>}
            </dt>
            <dd>
              <Value of={value} />
              {text !== value && <span className="soft"> from “{text}”</span>}
            </dd>
          </div>
        ))}
      </dl>
    </Part>
  );
}

function Steps({ steps }: Pick<Explanation, "steps">) {
  return (
    <Part title="Steps">
      <ol className="steps">
        {steps.map(({ action, policy, because, rejected }, index) => (
          <li key={index} className={rejected ? "rejected" : undefined}>
            <code>{breaking(action)}</code>
            <span className={`badge policy-${policy}`} title={POLICIES[policy]}>
              {policy.replace("-", " ")}
            </span>
            {rejected && <span className="badge no">rejected</span>}
            {because && <p>{withCode(because)}</p>}
          </li>
        ))}
      </ol>
    </Part>
  );
}

function Slots({ slots }: Pick<Explanation, "slots">) {
  return (
    <Part title="Slots changed">
      <dl className="pairs">
        {slots.map(({ name, before, after }) => (
          <div key={name}>
            <dt>{breaking(name)}</dt>
            <dd>
              <Value of={before} />
              <span className="soft">
                <span aria-hidden="true"> → </span>
                <span className="unseen"> became </span>
              </span>
              <Value of={after} />
            </dd>
          </div>
        ))}
      </dl>
    </Part>
  );
}

function Knowledge({ passages }: { passages: Citation[] }) {
  return (
    <Part title="Knowledge">
      <ul className="passages">
        {passages.map((passage, index) => (
          <li key={index}>
            {place(passage)}
            <span className="soft">{passage.document}</span>
          </li>
        ))}
      </ul>
    </Part>
  );
}

/** Each bar begins where the one before ended. */
function Times({ timings: { total = 0, ...steps } }: { timings: Explanation["timings_ms"] }) {
  const all = Math.max(total, sum(Object.values(steps)));
  return (
    <Part title="Time">
      <ul className="scales">
        {Object.entries(steps).map(([step, spent], index, before) => (
          <li key={step}>
            <span className="name">{step}</span>
            <Bar from={sum(before.slice(0, index).map(([, spent]) => spent)) / all} length={spent / all} />
            <span className="figure">{milliseconds(spent)}</span>
          </li>
        ))}
        <li className="first">
          <span className="name">total</span>
          <span className="figure">{milliseconds(total)}</span>
        </li>
      </ul>
    </Part>
  );
}

function Share({ of }: { of: number }) {
  return (
    <>
      <Bar length={of} />
      <span className="figure">{of > 0 && of < 0.01 ? "< 1" : Math.round(of * 100)} %</span>
    </>
  );
}

function Bar({ from = 0, length }: { from?: number; length: number }) {
  return (
    <svg className="bar" aria-hidden="true">
      <rect className="track" width="100%" height="100%" rx="3" />
      <rect x={percent(from)} width={percent(length)} height="100%" rx="3" />
    </svg>
  );
}

function Value({ of }: { of: unknown }) {
  if (of === null || of === undefined) return <span className="soft">nothing</span>;
  return <code>{typeof of === "string" ? of : JSON.stringify(of)}</code>;
}

/** A long name may go on in the next line behind each underscore. */
function breaking(name: string): ReactNode[] {
  return (name.match(/[^_]+_*|_+/g) ?? []).map((part, index) => (
    <Fragment key={index}>
      {part}
      <wbr />
    </Fragment>
  ));
}

/** What stands between backquotes is code. */
function withCode(text: string): ReactNode[] {
  return text.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part));
}

function followRoom(changed: () => void): () => void {
  ROOM.addEventListener("change", changed);
  return () => ROOM.removeEventListener("change", changed);
}

function sum(numbers: number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}

function percent(share: number): string {
  return `${(share * 100 || 0).toFixed(2)}%`;
}

function milliseconds(spent: number): string {
  return `${spent < 10 ? spent.toFixed(1) : Math.round(spent)} ms`;
}
