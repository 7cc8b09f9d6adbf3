import { LockError, asLockError } from '../port/errors';
import { globOf } from '../port/glob';
import { promised } from '../port/LockStore';
import type {
    AcquireAnswer,
    AcquireRequest,
    Asker,
    Granted,
    LockInfo,
    LockStore,
    ReleaseAnswer,
    ReleaseRequest,
    Renewal,
    RenewAnswer,
    StoreListener,
} from '../port/LockStore';
import { commandDone } from './servers/RedisServers';
import type { RedisServers, CommandDone, CommandRequest } from './servers/RedisServers';
import { AcquireCommand, ReleaseCommand, RenewRequest, RenewCommand, answerOf } from './commands';
import type { Acquiring, Releasing } from './commands';
import { acquireNodeScript, acquireScript } from './scripts/acquire';
import type { AcquireReply } from './scripts/acquire';
import { parseMessage } from './scripts/grant';
import { inspectScript } from './scripts/inspect';
import { raiseScript } from './scripts/raise';
import { releaseNodeScript, releaseScript } from './scripts/release';
import type { ReleaseReply } from './scripts/release';
import { renewScript } from './scripts/renew';
import { MEMORY_PATTERN, keyOfMemory, keysOf } from './slots';
import { deadlineOf } from '../port/validity';

export interface RedisStoreOptions {
    /** Put before every key. */
    readonly keyPrefix: string;
    /** After so many hand-offs in a row a key is left free for `pause` ms, for those who poll; undefined: never. */
    readonly yielding?: { readonly after: number; readonly pause: number } | undefined;
    /** It is a node of a quorum: its fences are proposals. */
    readonly node?: boolean | undefined;
    /** How much faster than ours the clock of a server may be; default 0.01. */
    readonly drift?: number | undefined;
}

const USUAL_DRIFT = 0.01;

/** Locks on one Redis: a server, or a cluster of them. What the steps do is said in `scripts/`. */
export class RedisStore implements LockStore {
    private readonly _prefix: string;
    private readonly _yield: string;
    private readonly _drift: number | undefined;
    private readonly _acquiring: Acquiring;
    private readonly _releasing: Releasing;
    private readonly _isNode: boolean;
    private _listener: StoreListener | undefined;

    constructor(
        private readonly _servers: RedisServers,
        { drift, keyPrefix, node, yielding }: RedisStoreOptions = { keyPrefix: '' },
    ) {
        this._prefix = keyPrefix;
        this._drift = drift;
        this._isNode = node === true;
        this._yield = yielding === undefined ? '' : `${yielding.after} ${yielding.pause}`;
        this._acquiring = {
            script: this._isNode ? acquireNodeScript : acquireScript,
            prefix: keyPrefix,
            done: this._acquired,
        };
        this._releasing = {
            script: this._isNode ? releaseNodeScript : releaseScript,
            prefix: keyPrefix,
            yield: this._yield,
            done: this._given,
        };
    }

    /** Whether a step would be sent at once. */
    get isReady(): boolean {
        return this._servers.isReady;
    }

    get wakes(): boolean {
        return this._servers.wakes;
    }

    get confirmsGrants(): boolean {
        return this._servers.acks !== undefined;
    }

    get exchanges(): boolean {
        // What has to be replicated, or left free, takes steps of its own; and a node knows only a part.
        return this._servers.acks === undefined && this._yield === '' && !this._isNode;
    }

    async open(listener: StoreListener): Promise<void> {
        this._listener = listener;
        await this._servers.open({
            message: (text) => this._onMessage(text),
            changed: (key) => this._changed(key),
            reconnected: () => listener.reconnected(),
            disconnected: (error) => listener.disconnected(error),
            recovered: (message) => listener.recovered(message),
            warned: (message) => listener.warned(message),
        });
    }

    close(): Promise<void> {
        return this._servers.close();
    }

    acquire(request: AcquireRequest, asker: Asker<AcquireAnswer>): void {
        this._servers.run(new AcquireCommand(request, asker, this._acquiring));
    }

    async renew(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        const request = new RenewRequest({ key, holder, ttl }, this._prefix);
        const { answer, sentAt } = await this._done(request);
        return answerOf(answer, deadlineOf(sentAt, ttl, this._drift));
    }

    renewAll(renewals: readonly Renewal[]): void {
        const steps = renewals.map((renewal) => new RenewCommand(renewal, this._prefix, this._drift));
        this._servers.runAll(renewScript, steps);
    }

    release({ key, holder }: ReleaseRequest, asker: Asker<ReleaseAnswer>): void {
        this._give(key, asker, [holder, '']);
    }

    giveUp(key: string, holder: string, id: string, underWay: boolean): Promise<ReleaseAnswer> {
        return promised((asker) => this._give(key, asker, [holder, `${underWay ? 1 : 0} ${id}`]));
    }

    async handOn(key: string): Promise<void> {
        await promised<ReleaseAnswer>((asker) => this._give(key, asker, ['', '']));
    }

    async inspect(key: string): Promise<LockInfo> {
        const keys = keysOf(this._prefix + key);
        const { answer } = await this._done({ script: inspectScript, key, keys, args: [] });
        const ours = answer.holder !== undefined && !answer.foreign;
        const fence = ours ? answer.fence : undefined;
        // On a node of a quorum it is no reading of the clock.
        const since = this._isNode ? undefined : fence;
        return {
            key,
            holder: answer.holder,
            remaining: answer.remaining === -1 ? Infinity : Math.max(answer.remaining, 0),
            fence,
            held: since === undefined ? undefined : Math.max(Math.floor((answer.clock - since) / 1000), 0),
            waiters: answer.waiters,
        };
    }

    /** They are found by their memories: nothing else is known to be a lock. */
    async *list(pattern: string): AsyncIterable<LockInfo> {
        const wanted = globOf(pattern);
        const seen = new Set<string>();
        for await (const names of this._servers.scan(MEMORY_PATTERN)) {
            const keys = new Set<string>();
            for (const name of names) {
                const stored = keyOfMemory(name);
                if (stored?.startsWith(this._prefix) !== true) continue;
                const key = stored.slice(this._prefix.length);
                if (key !== '' && !seen.has(key) && wanted(key)) keys.add(key);
            }
            for (const key of keys) seen.add(key);
            const infos = await Promise.all([...keys].map((key) => this._look(key)));
            for (const info of infos) if (info?.holder !== undefined) yield info;
        }
    }

    /** @see QuorumNode */
    async raise(key: string, holder: string, fence: number): Promise<boolean> {
        const [lock, , , memory] = keysOf(this._prefix + key);
        const args = [holder, String(fence)];
        const request = { script: raiseScript, key, keys: [lock, memory], args } as const;
        return (await this._done(request)).answer;
    }

    watch(key: string, holder: string): Promise<boolean> {
        return this._servers.watch(this._prefix + key, holder);
    }

    /** Undefined: the key holds something that is no lock. */
    private _look(key: string): Promise<LockInfo | undefined> {
        return this.inspect(key).catch((error: unknown) => {
            if (error instanceof LockError && error.code === 'WRONG_TYPE') return undefined;
            throw error;
        });
    }

    /** A grant that counts only when enough replicas have it; else it is taken back. Never rejects. */
    private async _replicated(request: AcquireRequest, granted: Granted): Promise<Granted | LockError> {
        const { key, holder, id, ttl } = request;
        const wanted = this._servers.acks?.replicas ?? 0;
        let error: LockError;
        try {
            const renewal = new RenewRequest({ key, holder, ttl }, this._prefix);
            const { renewed, replicas, sentAt } = await this._servers.replicate(renewal);
            if (renewed === 'renewed' && replicas >= wanted)
                return { ...granted, deadline: deadlineOf(sentAt, ttl, this._drift) };
            const text = `Only ${replicas} replicas have the grant of ${key}; options.acks asks for ${wanted}.`;
            error = new LockError('NOT_REPLICATED', text, { key, holder });
        } catch (thrown) {
            error = asLockError(thrown, key, holder);
        }
        const unknown = await this.giveUp(key, holder, id, false).then(
            () => false,
            () => true,
        );
        return new LockError(error.code, error.message, { key, holder, cause: error.cause, unknown });
    }

    private _give(key: string, asker: Asker<ReleaseAnswer>, args: readonly string[]): void {
        this._servers.run(new ReleaseCommand(key, args, asker, this._releasing));
    }

    private readonly _acquired = ({ asker, request }: AcquireCommand, reply: AcquireReply, sentAt: number): void => {
        const { key, holder, ttl } = request;
        switch (reply.kind) {
            case 'granted': {
                const { fence, released } = reply;
                const deadline = deadlineOf(sentAt, ttl, this._drift);
                const granted: Granted = { kind: 'granted', fence, deadline, released };
                if (this._servers.acks === undefined) asker.answered(granted);
                else void this._replicated(request, granted).then((answer) => asker.answered(answer));
                return;
            }
            case 'busy':
                if (reply.handedOn) this._listener?.handedOn(key, reply.remaining);
                // Spelled out: each copy of a rest has a hidden class of its own, which takes another 300 bytes.
                asker.answered({
                    kind: 'busy',
                    sentAt,
                    remaining: reply.remaining < 0 ? Infinity : reply.remaining,
                    fence: reply.fence,
                    ticket: reply.ticket,
                    rank: reply.rank,
                    foreign: reply.foreign,
                    holder: reply.holder,
                    released: reply.released,
                });
                return;
            case 'refused': {
                const text = `The acquisition of ${key} was given up before.`;
                asker.answered(new LockError('LOCK_ABORTED', text, { key, holder }));
            }
        }
    };

    private readonly _given = ({ asker, key }: ReleaseCommand, { handedOn, kind }: ReleaseReply): void => {
        if (handedOn > 0) this._listener?.handedOn(key, handedOn);
        asker.answered(kind);
    };

    private _done<Answer>(request: CommandRequest<Answer>): Promise<CommandDone<Answer>> {
        return commandDone((step) => this._servers.run(step), request);
    }

    private _changed(key: string | undefined): void {
        if (key === undefined) this._listener?.reconnected();
        else if (key.startsWith(this._prefix)) this._listener?.changed(key.slice(this._prefix.length));
    }

    private _onMessage(text: string): void {
        const message = parseMessage(text);
        if (message === undefined || !message.key.startsWith(this._prefix)) return;
        const key = message.key.slice(this._prefix.length);
        if (message.kind === 'grant') {
            // Where replicas have to have it too, nothing can be relied on before they were asked.
            const time = this._servers.acks === undefined ? message.ttl : 0;
            // Whoever relies on it takes off the usual drift.
            const ttl = Math.floor((time * (1 - (this._drift ?? USUAL_DRIFT))) / (1 - USUAL_DRIFT));
            this._listener?.granted(key, message.id, message.fence, ttl);
        } else this._listener?.first(key, message.id, message.taken);
    }
}
