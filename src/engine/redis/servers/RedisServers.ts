import type { LockError } from '../../port/errors';
import type { StoreListener } from '../../port/LockStore';
import type { RenewReply } from '../scripts/renew';
import type { Script } from '../scripts/Script';
import type { Acks, Replicated } from '../connection/Replication';

/** What the servers tell unasked. */
export type ServerEvents = Pick<StoreListener, 'reconnected' | 'disconnected' | 'recovered' | 'warned'> & {
    /** The connection to a server ended. It may be back at once. */
    departed?(): void;
    /** A node of a quorum was started a moment ago. @param left ms until it votes. */
    settling?(left: number): void;
    /** A message came on our channel. */
    message(text: string): void;
    /** A watched key changed. Undefined: a change of any of them may have been missed. */
    changed(key: string | undefined): void;
};

/** One item of a script. */
export interface CommandRequest<Answer> {
    readonly script: Script<Answer>;
    /** The user's key, for errors. */
    readonly key: string;
    /** The keys of the item. The first decides to which server it goes. */
    readonly keys: readonly [string, ...string[]];
    /** The arguments of the item. */
    readonly args: readonly string[];
    /** Arguments before those of the items, the same for all that go out together. @param channel where the server can wake us; or empty. */
    before?(channel: string): readonly string[];
    /** Arguments after those of the items. */
    after?(): readonly string[];
}

/** One item of a script, and the callbacks for its outcome. One of them is called, once, after `run` has returned. */
export interface Command<Answer> extends CommandRequest<Answer> {
    /** @param sentAt when it was sent. */
    done(answer: Answer, sentAt: number): void;
    failed(error: LockError): void;
}

/**
 * The server, or the servers, of one Redis. Runs scripts where their keys are. Every method fails within the command timeout,
 * with a LockError whose `unknown` says whether the command may still take effect.
 */
export interface RedisServers {
    /** Whether messages reach us. If not, waiters must poll. Known after `open`. */
    readonly wakes: boolean;
    /** Whether a command would be sent at once, as far as known. */
    readonly isReady: boolean;
    open(events: ServerEvents): Promise<void>;
    close(): Promise<void>;
    run<Answer>(command: Command<Answer>): void;
    /** Runs several commands of one script. Each is answered by itself. */
    runAll<Answer>(script: Script<Answer>, commands: readonly Command<Answer>[]): void;
    /** How many replicas must confirm a grant. Undefined: none. */
    readonly acks: Acks | undefined;
    /** Renews a lease that was granted, and settles when enough replicas have it, or when their time is over. */
    replicate(request: CommandRequest<RenewReply>): Promise<Replicated>;
    /** The names of keys, page by page, as SCAN gives them. A name may come twice. */
    scan(pattern: string): AsyncIterable<readonly string[]>;
    /** Watches a key that now holds `value`: `changed` tells. @param key with its prefix. @returns whether it can be watched. */
    watch(key: string, value: string): Promise<boolean>;
}

export interface CommandDone<Answer> {
    readonly answer: Answer;
    /** When it was sent. */
    readonly sentAt: number;
}

/** What `run` does, as a promise. */
export function commandDone<Answer>(
    run: (command: Command<Answer>) => void,
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
