/*
 * Where a conversation is at home: at which API, with which bot, and where this browser remembers it.
 *
 * Where storage is switched off in a browser, nothing outlives a reload.
 */

/** A conversation that may be gone on with. */
export interface Pass {
  id: string;
  token: string;
}

type Kept =
  | "conversation" // its id and token
  | "explain" // whether replies are to be explained
  | "underway" // what was said and has no reply yet
  | "waiting" // the turns whose answers the person agreed to wait for
  | "aloud" // whether replies are read out
  | "closed"; // whether the person has closed what opens by itself

export class Home {
  private pass: Pass | null;

  /** `storage` is asked for each time, since a browser may refuse it; `name`: of what is kept there. */
  constructor(
    readonly api: string, // an address that ends with a slash
    readonly bot: string | null, // null: the deployment's default one
    private readonly storage: () => Storage,
    private readonly name: string,
  ) {
    this.pass = this.kept<Pass>("conversation");
  }

  /** The conversation that goes on here. */
  get remembered(): Pass | null {
    return this.pass;
  }

  remember(pass: Pass | null): void {
    this.pass = pass;
    this.keep("conversation", pass);
  }

  /** Tells what another tab has begun, where nothing goes on here. Gives what ends that. */
  onBegun(tell: (pass: Pass) => void): () => void {
    const look = () => {
      const begun = this.pass ? null : this.kept<Pass>("conversation");
      if (begun) tell(begun);
    };
    window.addEventListener("storage", look);
    window.addEventListener("pageshow", look); // a page that was left, and told of nothing meanwhile
    return () => {
      window.removeEventListener("storage", look);
      window.removeEventListener("pageshow", look);
    };
  }

  keep(what: Kept, value: unknown): void {
    try {
      if (value === null) this.storage().removeItem(this.nameOf(what));
      else this.storage().setItem(this.nameOf(what), JSON.stringify(value));
    } catch {
      // Storage is switched off, or full.
    }
  }

  kept<T>(what: Kept): T | null {
    try {
      return JSON.parse(this.storage().getItem(this.nameOf(what)) ?? "null") as T | null;
    } catch {
      return null;
    }
  }

  /** One origin may meet several deployments, and a deployment has several bots. */
  private nameOf(what: Kept): string {
    return [this.name, this.bot, what !== "conversation" && what].filter(Boolean).join(" ");
  }
}
