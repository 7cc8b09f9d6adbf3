import { LockError } from '../engine/port/errors';
import type { Session } from './Session';

/** One try to open a component, which may be cancelled at any time. */
export class Opening {
    /** Rejects with CLOSED when the opening is cancelled. */
    readonly session: Promise<Session>;
    private _made: Session | undefined;
    private _isCancelled = false;
    private _cancel = (): void => undefined;
    private readonly _cancelled = new Promise<undefined>((resolve) => {
        this._cancel = () => resolve(undefined);
    });

    /**
     * @param before what has to be over first.
     * @param make   a session that is not open.
     */
    constructor(before: Promise<void>, make: () => Promise<Session>) {
        this.session = this._open(before, make);
        // Those who wait for it are told.
        this.session.catch(() => undefined);
    }

    /** Settles when the opening has ended, whatever it was waiting for. */
    async cancel(): Promise<void> {
        this._isCancelled = true;
        this._cancel();
        await this._made?.close();
        await this.session.catch(() => undefined);
    }

    private async _open(before: Promise<void>, make: () => Promise<Session>): Promise<Session> {
        try {
            // To look up a server may take for ever; nothing is connected before the session is opened.
            await Promise.race([before.catch(() => undefined), this._cancelled]);
            const session = this._isCancelled ? undefined : await Promise.race([make(), this._cancelled]);
            if (session === undefined || this._isCancelled) throw closed();
            this._made = session;
            await session.open();
            if (!this._isCancelled) return session;
            await session.close();
        } catch (error) {
            throw this._isCancelled ? closed() : error;
        }
        throw closed();
    }
}

function closed(): LockError {
    return new LockError('CLOSED', 'The lock was closed while it was opened.');
}
