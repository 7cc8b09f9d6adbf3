import type { Clock } from '../../time/Clock';
import { LockError, isTemporary } from '../../port/errors';
import { Backoff } from '../connection/Backoff';
import type { SingleServer } from './SingleServer';

/** A server of a cluster, and its opening. */
export interface Member {
    readonly server: SingleServer;
    readonly opened: Promise<void>;
}

/** A server that refused a connection for a lasting reason. */
interface Refusal {
    readonly error: LockError;
    /** No connection is tried before. */
    readonly until: number;
    readonly backoff: Backoff;
}

/** The pause before a refusal is told once more, ms. So a caller that retries at once does not block the event loop. */
const REFUSAL_PAUSE = 25;

/** The connected servers of a cluster, by their names. */
export class Members {
    private readonly _members = new Map<string, Member>();
    private readonly _refusals = new Map<string, Refusal>();

    /** @param _join connects to a server. */
    constructor(
        private readonly _join: (name: string) => Member,
        private readonly _clock: Clock,
    ) {}

    /**
     * A server is opened when it is first needed. If that fails, the next need tries again. After a refusal for a lasting reason
     * there is a pause first, which grows.
     */
    async get(name: string): Promise<SingleServer> {
        const member = this._members.get(name) ?? (await this._added(name));
        await member.opened;
        return member.server;
    }

    servers(): SingleServer[] {
        return [...this._members.values()].map(({ server }) => server);
    }

    /** The names of those that would send a command at once. */
    ready(): string[] {
        return [...this._members].filter(([, { server }]) => server.isReady).map(([name]) => name);
    }

    /** Closes the servers that are dispensable, and forgets their refusals. */
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
            await new Promise<void>((resolve) => this._clock.timer(REFUSAL_PAUSE, resolve));
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
