import type { LockError } from '../../port/errors';
import type { StoreListener } from '../../port/LockStore';
import type { RenewReply } from '../scripts/renew';
import type { Script } from '../scripts/Script';
import type { Acks, Replicated } from '../connection/Replication';

/** What the servers tell of their own accord. */
export type ServerEvents = Pick<StoreListener, 'reconnected' | 'disconnected' | 'recovered' | 'warned'> & {
    /** The connection to a server ended. It may be back at once. */
    departed?(): void;
    /** A node of a quorum was started a moment ago, and votes in so many ms. */
    settling?(left: number): void;
    /** A message came on our channel. */
    message(text: string): void;
    /** A watched key changed; of all of them, when that may have been missed. */
    changed(key: string | undefined): void;
};

/** One step to be done. */
export interface CommandRequest<Answer> {
    readonly script: Script<Answer>;
    /** The user's key, for errors. */
    readonly key: string;
    /** The keys of the script; the first says where the step is done. */
    readonly keys: readonly [string, ...string[]];
    /** The arguments of its item. */
    readonly args: readonly string[];
    /** Arguments before those of the items, the same for every command of the script; `channel`: where the server can wake us, or empty. */
    before?(channel: string): readonly string[];
    /** Arguments behind those of the items. */
    after?(): readonly string[];
}

/** One step, and who is told once what became of it: after the call that asked for it has returned. */
export interface Command<Answer> extends CommandRequest<Answer> {
    /** @param sentAt when it was sent. */
    done(answer: Answer, sentAt: number): void;
    failed(error: LockError): void;
}

/**
 * The server, or the servers, of one Redis: does the steps of scripts where their keys are. Every method fails with a
 * LockError whose `unknown` says whether the step may still take effect, and within the command timeout.
 */
export interface RedisServers {
    /** Whether messages reach us; else waiters have to poll. Known after `open`. */
    readonly wakes: boolean;
    /** Whether a step would be sent at once, as far as known. */
    readonly isReady: boolean;
    open(events: ServerEvents): Promise<void>;
    close(): Promise<void>;
    run<Answer>(step: Command<Answer>): void;
    /** Does several steps of one script, each answered as soon as it can be. */
    runAll<Answer>(script: Script<Answer>, steps: readonly Command<Answer>[]): void;
    /** How many replicas have to have a grant, if any. */
    readonly acks: Acks | undefined;
    /** Renews what was granted, and settles when enough replicas have it, or when their time is over. */
    replicate(request: CommandRequest<RenewReply>): Promise<Replicated>;
    /** The names of keys, some at a time, as SCAN gives them: some may come twice. */
    scan(pattern: string): AsyncIterable<readonly string[]>;
    /** Tells when `key`, as it is in Redis, which now holds `value`, changes. False: it cannot. */
    watch(key: string, value: string): Promise<boolean>;
}

export interface CommandDone<Answer> {
    readonly answer: Answer;
    /** When it was sent. */
    readonly sentAt: number;
}

/** A step that `run` is to do, as a promise. */
export function commandDone<Answer>(
    run: (step: Command<Answer>) => void,
    request: CommandRequest<Answer>,
): Promise<CommandDone<Answer>> {
    const { script, key, keys, args } = request;
    return new Promise((resolve, reject) => {
        const done = (answer: Answer, sentAt: number): void => resolve({ answer, sentAt });
        run({
            script,
            key,
            keys,
            args,
            before: (channel) => request.before?.(channel) ?? [],
            after: () => request.after?.() ?? [],
            done,
            failed: reject,
        });
    });
}
