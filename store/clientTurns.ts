export interface TurnLimits {
  /** What one user may have at once. */
  readonly running: number;
  /** What of one user's may wait. */
  readonly waiting: number;
  /** What of all users' may wait. */
  readonly waitingInAll: number;
}

interface User {
  running: number;
  readonly waiting: (() => void)[];
}

/** Gives each user's clients their turn: one user's many leave the others theirs. */
export class ClientTurns {
  readonly #limits: TurnLimits;
  readonly #users = new Map<number | undefined, User>();
  #waiting = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /**
   * Runs a task now, or once one of the same user's has called what it was given.
   * @returns false where too many wait: then it is not run
   */
  take(uid: number | undefined, task: (done: () => void) => void): boolean {
    const user = this.#users.get(uid) ?? { running: 0, waiting: [] };
    this.#users.set(uid, user);
    let isDone = false;
    const done = (): void => {
      if (isDone) return;
      isDone = true;
      user.running--;
      const next = user.waiting.shift();
      if (next !== undefined) {
        this.#waiting--;
        next();
      }
      if (user.running === 0) this.#users.delete(uid);
    };
    const run = (): void => {
      user.running++;
      task(done);
    };
    const { running, waiting, waitingInAll } = this.#limits;
    if (user.running < running) run();
    else if (user.waiting.length < waiting && this.#waiting < waitingInAll) {
      this.#waiting++;
      user.waiting.push(run);
    } else return false;
    return true;
  }
}
