import type { Clock } from '../../time/Clock';
import { LockError, isTemporary } from '../../port/errors';
import { Backoff } from '../connection/Backoff';
import type { SingleServer } from './SingleServer';

/** A server of a cluster, and its opening. */
export interface Member {
    readonly server: SingleServer;
    readonly opened: Promise<void>;
}

/** A server that said no for good, and how often. */
interface Refusal {
    readonly error: LockError;
    /** It is not connected to before that. */
    readonly until: number;
    readonly backoff: Backoff;
}

/** How long after a refusal another server may be asked for, ms: a caller that tries again at once leaves the event loop its turns. */
const BREATH = 25;

/** The servers of a cluster that are connected to, by their addresses. */
export class Members {
    private readonly _members = new Map<string, Member>();
    private readonly _refusals = new Map<string, Refusal>();

    /** @param _join connects to a server. */
    constructor(
        private readonly _join: (name: string) => Member,
        private readonly _clock: Clock,
    ) {}

    /**
     * The server is opened when it is needed first. Where that fails it is tried anew with the next need, but after a pause where the
     * server said no for good.
     */
    async get(name: string): Promise<SingleServer> {
        const member = this._members.get(name) ?? (await this._added(name));
        await member.opened;
        return member.server;
    }

    servers(): SingleServer[] {
        return [...this._members.values()].map(({ server }) => server);
    }

    /** The names of those that would send a step at once. */
    ready(): string[] {
        return [...this._members].filter(([, { server }]) => server.isReady).map(([name]) => name);
    }

    /** Closes those that are not needed. */
    leave(dispensable: (name: string) => boolean): void {
        for (const [name, { server }] of this._members) {
            if (!dispensable(name)) continue;
            this._members.delete(name);
            void server.close();
        }
        for (const name of this._refusals.keys()) if (dispensable(name)) this._refusals.delete(name);
    }

    async close(): Promise<void> {
        await Promise.all(this.servers().map((server) => server.close()));
    }

    private async _added(name: string): Promise<Member> {
        const refusal = this._refusals.get(name);
        if (refusal !== undefined && this._clock.now() < refusal.until) {
            await new Promise<void>((resolve) => this._clock.timer(BREATH, resolve));
            throw refusal.error;
        }
        const member = this._join(name);
        this._members.set(name, member);
        member.opened.then(
            () => this._refusals.delete(name),
            (error: unknown) => {
                if (this._members.get(name) !== member) return;
                this._members.delete(name);
                this._refused(name, asLockError(error));
            },
        );
        return member;
    }

    private _refused(name: string, error: LockError): void {
        if (isTemporary(error) || error.code === 'CLOSED') return;
        const backoff = this._refusals.get(name)?.backoff ?? new Backoff();
        this._refusals.set(name, { error, until: this._clock.now() + backoff.next(), backoff });
    }
}

export function asLockError(thrown: unknown): LockError {
    return thrown instanceof LockError ? thrown : new LockError('CONNECTION_FAILED', String(thrown), { cause: thrown });
}
