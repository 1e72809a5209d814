/*
 * The line: one WebSocket to the bot, opened when it is needed and opened again when it breaks while it is needed.
 *
 * Knows connections, not conversations. It is a convenience: whoever finds it missing or silent goes over HTTP.
 */
import { type Frame, readFrame, type Request } from "./frames";

const REACH_WITHIN_MS = 4_000; // a person waits meanwhile; afterwards HTTP carries the message
const OPEN_WITHIN_MS = 20_000; // the function behind the door may be cold; the next message goes over the line
const PONG_WITHIN_MS = 5_000;
const PING_EVERY_MS = 240_000; // API Gateway closes what is idle for 10 minutes, and some phone networks after 5
const KEPT_OPEN_MS = 1_800_000; // after the last word; afterwards the line may fall asleep, and costs nothing
const FIRST_PAUSE_MS = 500; // before another try; doubled each time
const LONGEST_PAUSE_MS = 30_000;
const DISTRUST_MS = 300_000; // how long a line is left alone that neither opens nor fails, or carries nothing

/** Who wants to know what happens on the line. */
export interface Ear {
  opened?: () => void;
  heard?: (frame: Frame | null) => void; // null: a message that is no frame of the bot
}

export class Line {
  private socket: WebSocket | null = null;
  private readonly ears = new Set<Ear>();
  private readonly openers = new Set<(isOpen: boolean) => void>();
  private holders = 0;
  private failures = 0; // since something was last heard
  private notBefore = 0; // when the next try may be made
  private triedAt = 0;
  private spokenAt = 0;
  private tryTimer: number | undefined;
  private pingTimer: number | undefined;
  private pongTimer: number | undefined;
  private isBound = false; // to a conversation, as far as the server was told of one
  private readonly isOver = new AbortController();

  constructor(private readonly address: string) {
    const { signal } = this.isOver;
    addEventListener("online", () => this.wake(true), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.wake(this.holders > 0), { signal });
  }

  get isOpen(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Whether the line is open, after trying to open it. Says no at once where waiting was of no use before. */
  async reach(): Promise<boolean> {
    if (!this.socket && Date.now() >= this.notBefore) this.connect();
    const left = this.triedAt + REACH_WITHIN_MS - Date.now();
    if (this.isOpen || !this.socket || left <= 0) return this.isOpen;
    return await new Promise((resolve) => {
      this.openers.add(resolve);
      setTimeout(resolve, left, false);
    });
  }

  /** Whether the line is open, and the server does not know yet who is there. */
  get isNew(): boolean {
    return this.isOpen && !this.isBound;
  }

  /** Sends, if the line is open; whether it is. */
  send(frame: Request): boolean {
    if (!this.isOpen) return false;
    this.spokenAt = Date.now();
    this.isBound ||= frame.action === "message" || frame.action === "resume";
    this.socket!.send(JSON.stringify(frame));
    return true;
  }

  /** Tells the ear what happens from now on, until the function that it gives is called. */
  listen(ear: Ear): () => void {
    this.ears.add(ear);
    return () => this.ears.delete(ear);
  }

  /** Keeps the line open, or tries to, until the function that it gives is called. */
  hold(): () => void {
    this.holders += 1;
    this.reconnect();
    let isHeld = true;
    return () => {
      if (isHeld) this.holders -= 1;
      isHeld = false;
    };
  }

  /** Makes sure that a line that seems to be open is. */
  check(): void {
    if (!this.isOpen || this.pongTimer !== undefined) return;
    const { socket } = this;
    socket!.send('{"action":"ping"}');
    this.pongTimer = window.setTimeout(() => this.lose(socket!), PONG_WITHIN_MS);
  }

  private keepOpen(): void {
    if (this.holders > 0 || Date.now() - this.spokenAt < KEPT_OPEN_MS) this.check();
  }

  /** Ends the connection; the next one belongs to no conversation yet. Nothing to do where this one does not. */
  hangUp(): void {
    if (!this.isBound) return;
    this.drop();
    this.reconnect();
  }

  /** Leaves the line alone for some minutes. */
  distrust(): void {
    this.drop();
    this.notBefore = Date.now() + DISTRUST_MS;
    this.reconnect();
  }

  /** Ends it for good. */
  close(): void {
    this.isOver.abort();
    clearTimeout(this.tryTimer);
    this.drop();
  }

  private connect(): void {
    if (this.socket || this.isOver.signal.aborted) return;
    clearTimeout(this.tryTimer);
    let socket: WebSocket;
    try {
      socket = new WebSocket(this.address);
    } catch {
      this.fail(); // an address that this page may not open
      return;
    }
    this.socket = socket;
    this.triedAt = Date.now();
    this.isBound = false;
    this.pongTimer = window.setTimeout(() => this.lose(socket, DISTRUST_MS), OPEN_WITHIN_MS);
    socket.onopen = () => {
      this.stopPongTimer();
      this.pingTimer = window.setInterval(() => this.keepOpen(), PING_EVERY_MS);
      this.tellOpeners(true);
      for (const ear of [...this.ears]) ear.opened?.();
    };
    socket.onmessage = ({ data }) => {
      this.stopPongTimer();
      this.failures = 0;
      const frame = readFrame(data);
      for (const ear of [...this.ears]) ear.heard?.(frame);
    };
    socket.onclose = () => this.lose(socket);
  }

  /** The connection is gone, whether it was told so or not. */
  private lose(socket: WebSocket, leftAloneMs = 0): void {
    if (socket !== this.socket) return;
    this.drop();
    this.fail(leftAloneMs);
  }

  private fail(leftAloneMs = 0): void {
    const soon = Math.min(FIRST_PAUSE_MS * 2 ** this.failures, LONGEST_PAUSE_MS);
    const pause = this.holders > 0 ? soon : Math.max(soon, leftAloneMs);
    this.failures += 1;
    this.notBefore = Date.now() + pause * (0.5 + Math.random() / 2); // not everybody in the same moment
    this.tellOpeners(false);
    this.reconnect();
  }

  /** Forgets the connection without waiting for the other side, which may not be there. */
  private drop(): void {
    const { socket } = this;
    if (!socket) return;
    this.socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    clearInterval(this.pingTimer);
    this.stopPongTimer();
    this.tellOpeners(false);
  }

  private reconnect(): void {
    clearTimeout(this.tryTimer);
    if (this.holders === 0 || this.socket || this.isOver.signal.aborted) return;
    this.tryTimer = window.setTimeout(() => this.holders > 0 && this.connect(), this.notBefore - Date.now());
  }

  /** The network or the person is back: what is open may be dead, and what failed may work. */
  private wake(isWorthATry: boolean): void {
    this.check();
    if (this.socket || !isWorthATry || this.failures === 0) return; // what carried nothing is left alone still
    this.notBefore = 0;
    this.reconnect();
  }

  private stopPongTimer(): void {
    clearTimeout(this.pongTimer);
    this.pongTimer = undefined;
  }

  private tellOpeners(isOpen: boolean): void {
    for (const resolve of this.openers) resolve(isOpen);
    this.openers.clear();
  }
}

const lines = new Map<string, Line>();

/** The page's line to an address; always the same one. */
export function lineTo(address: string): Line {
  const line = lines.get(address) ?? new Line(address);
  lines.set(address, line);
  return line;
}

/** Ends all of them, where nobody is going to talk any more. */
export function closeLines(): void {
  for (const line of lines.values()) line.close();
  lines.clear();
}
