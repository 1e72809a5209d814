/*
 * The files that go with the next message. They are sent while the person still writes, so that the message itself is
 * quick.
 */
import { useCallback, useEffect, useRef, useState } from "react";

import { FILE_TIMEOUT_MS, newTurnId, Problem, type Taking, type Upload } from "./api";
import type { Conversation } from "./conversation";
import { MOST_FILES, refusalOf } from "./files";

export type Picked = { id: string; file: File } & (
  | { state: "sending" }
  | { state: "sent"; upload: Upload }
  | { state: "failed"; sentence: string; mayTryAgain: boolean }
);

export interface Picking {
  taking: Taking;
  picked: readonly Picked[];
  refusal: string; // why something was not picked; "": nothing to say
  news: string; // what has become of a file, for who listens
  pick: (files: Iterable<File>) => void;
  hasFiles: boolean;
  isSending: boolean; // some of them
  hasFailed: boolean; // one of them
  tryAgain: (one: Picked) => void;
  remove: (one: Picked) => void;
  take: () => Upload[]; // for a message; none is left
  clear: () => void;
}

/** The files that are picked; null where the bot takes none. */
export function usePicked({ upload }: Conversation, taking: Taking | null): Picking | null {
  const [picked, setPicked] = useState<readonly Picked[]>([]);
  const [refusal, setRefusal] = useState("");
  const [news, setNews] = useState("");
  const ways = useRef(new Map<string, AbortController>()); // on which the files are

  const send = useCallback(
    async (id: string, file: File) => {
      const way = new AbortController();
      const timer = setTimeout(() => way.abort(), FILE_TIMEOUT_MS);
      ways.current.set(id, way);
      function becomes(next: Picked, told: string) {
        if (ways.current.get(id) !== way) return; // it was removed
        setPicked((all) => all.map((one) => (one.id === id ? next : one)));
        setNews(told);
      }
      becomes({ id, file, state: "sending" }, `Sending ${file.name}`);
      try {
        const sent = await upload(file, way.signal);
        becomes({ id, file, state: "sent", upload: sent }, `${file.name} is ready`);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const { message: sentence, passes: mayTryAgain } = error;
        becomes({ id, file, state: "failed", sentence, mayTryAgain }, `${file.name} was not sent. ${sentence}`);
      } finally {
        clearTimeout(timer);
      }
    },
    [upload],
  );

  const end = useCallback((id: string) => {
    const way = ways.current.get(id);
    ways.current.delete(id);
    way?.abort();
  }, []);

  const clear = useCallback(() => {
    for (const id of [...ways.current.keys()]) end(id);
    setPicked([]);
    setRefusal("");
    setNews("");
  }, [end]);

  useEffect(() => {
    const all = ways.current;
    return () => {
      for (const way of all.values()) way.abort();
    };
  }, []);

  if (!taking) return null;

  function pick(files: Iterable<File>) {
    const chosen = [...files];
    const refusals = chosen.map((file) => refusalOf(file, taking!));
    const fit = chosen.filter((_, index) => !refusals[index]);
    const room = MOST_FILES - picked.length;
    const tooMany = fit.length > room ? `${MOST_FILES} files at most go with a message.` : null;
    setRefusal([...refusals, tooMany].filter(Boolean).join(" "));
    const added = fit.slice(0, room).map((file): Picked => ({ id: newTurnId(), file, state: "sending" }));
    setPicked((all) => [...all, ...added]);
    for (const { id, file } of added) void send(id, file);
  }

  function remove({ id, file }: Picked) {
    end(id);
    setPicked((all) => all.filter((one) => one.id !== id));
    setRefusal("");
    setNews(`${file.name} was removed`);
  }

  function take(): Upload[] {
    clear();
    return picked.flatMap((one) => (one.state === "sent" ? [one.upload] : []));
  }

  return {
    taking,
    picked,
    refusal,
    news,
    hasFiles: picked.length > 0,
    isSending: picked.some(({ state }) => state === "sending"),
    hasFailed: picked.some(({ state }) => state === "failed"),
    pick,
    tryAgain: ({ id, file }) => void send(id, file),
    remove,
    take,
    clear,
  };
}
