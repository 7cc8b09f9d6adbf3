import type { Clock } from '../time/Clock';
import { LockError, asError } from '../port/errors';

/** What became of something that was asked of a node. */
export type Settled<T> =
    { readonly kind: 'done'; readonly value: T } | { readonly kind: 'failed'; readonly error: LockError };

/** Of several nodes, in their order; undefined: nothing in time. */
export type Answers<T> = readonly (Settled<T> | undefined)[];

/** What was answered, of those that did what they were asked. */
export function doneOf<T>(answers: Answers<T>): T[] {
    const done: T[] = [];
    for (const one of answers) if (one?.kind === 'done') done.push(one.value);
    return done;
}

/** Never rejects. */
export function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
    return promise.then(
        (value) => ({ kind: 'done', value }),
        (thrown: unknown) => ({ kind: 'failed', error: asFailure(thrown) }),
    );
}

/**
 * Waits for the answers of several nodes: until it is decided, all have answered, or the time is over.
 *
 * @param asked   never reject.
 * @param within  ms.
 * @param decided is asked after each answer.
 * @returns the answers so far; undefined stands for those that did not come in time.
 */
export function awaitVotes<T>(
    clock: Clock,
    asked: readonly Promise<T>[],
    within: number,
    decided: (answers: readonly (T | undefined)[]) => boolean = () => false,
): Promise<readonly (T | undefined)[]> {
    if (asked.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
        const answers = Array.from<T | undefined>({ length: asked.length });
        let missing = asked.length;
        const finish = (): void => resolve([...answers]);
        // Where the event loop was late, answers may have arrived that nobody has looked at: they come before a second timer.
        let timer = within === Infinity ? undefined : clock.timer(within, () => (timer = clock.timer(1, finish)));
        const look = (): void => {
            if (missing > 0 && !decided(answers)) return;
            timer?.cancel();
            finish();
        };
        asked.forEach((one, at) => {
            void one.then((answer) => {
                answers[at] = answer;
                missing -= 1;
                look();
            });
        });
        look();
    });
}

function asFailure(thrown: unknown): LockError {
    if (thrown instanceof LockError) return thrown;
    const cause = asError(thrown);
    return new LockError('CONNECTION_FAILED', cause.message, { cause, unknown: true });
}
