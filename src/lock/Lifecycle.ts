import type { LockContext } from '../connect/context';
import { LockError } from '../engine/port/errors';
import { Opening } from './Opening';
import type { Session } from './Session';

type State =
    | { readonly kind: 'new' }
    | { readonly kind: 'opening'; readonly opening: Opening; readonly by: Opener }
    | { readonly kind: 'open'; readonly session: Session; readonly by: Opener }
    /** `done` settles when everything is released and disconnected. */
    | { readonly kind: 'closed'; readonly done: Promise<void> };

/** What opened it: a call of `open`, or the first use. */
type Opener = 'open' | 'use';

/**
 * When a component is open.
 *
 * new or closed → opening → open → closed; an opening that fails makes it new, and one that is closed makes it closed. `use` opens
 * a component that is new, once it may. A component that was closed is opened by `open` only.
 */
export class Lifecycle {
    private _state: State = { kind: 'new' };

    /**
     * @param _make       a session that is not open.
     * @param _opensOnUse whether the first use may open it.
     */
    constructor(
        private readonly _make: (context: LockContext) => Promise<Session>,
        private readonly _opensOnUse: () => boolean,
    ) {}

    /** Undefined when it is not open. */
    get session(): Session | undefined {
        return this._state.kind === 'open' ? this._state.session : undefined;
    }

    /** Whether nobody holds anything, because it is not open, and to say so is no error. */
    get holdsNothing(): boolean {
        const { kind } = this._state;
        return kind === 'closed' || kind === 'opening' || (kind === 'new' && this._opensOnUse());
    }

    /** @throws ALREADY_OPENED, CLOSED; what the opening throws. */
    async open(context: LockContext): Promise<void> {
        const state = this._state;
        switch (state.kind) {
            case 'new':
                await this._begin(context, 'open', Promise.resolve());
                break;
            case 'closed':
                await this._begin(context, 'open', state.done);
                break;
            case 'opening':
            case 'open':
                if (state.by === 'open') throw new LockError('ALREADY_OPENED', 'The lock is open already.');
                // Its user was faster than its container.
                this._state = { ...state, by: 'open' };
                if (state.kind === 'opening') await state.opening.session;
        }
    }

    /** The session, which is opened if need be. @throws NOT_OPENED, CLOSED; what the opening throws. */
    async use(context: LockContext): Promise<Session> {
        const state = this._state;
        switch (state.kind) {
            case 'open':
                return state.session;
            case 'opening':
                return state.opening.session;
            case 'new':
                if (this._opensOnUse()) return this._begin(context, 'use', Promise.resolve());
                throw new LockError('NOT_OPENED', 'The lock has not been opened.');
            case 'closed':
                throw new LockError('CLOSED', 'The lock was closed.');
        }
    }

    /** Ends an opening, too. */
    close(): Promise<void> {
        const done = this._end();
        this._state = { kind: 'closed', done };
        return done;
    }

    private _end(): Promise<void> {
        const state = this._state;
        switch (state.kind) {
            case 'new':
                return Promise.resolve();
            case 'opening':
                return state.opening.cancel();
            case 'open':
                return state.session.close();
            case 'closed':
                return state.done;
        }
    }

    private async _begin(context: LockContext, by: Opener, before: Promise<void>): Promise<Session> {
        const opening = new Opening(before, () => this._make(context));
        this._state = { kind: 'opening', opening, by };
        try {
            const session = await opening.session;
            const state = this._stateOf(opening);
            if (state !== undefined) this._state = { kind: 'open', session, by: state.by };
            return session;
        } catch (error) {
            if (this._stateOf(opening) !== undefined) this._state = { kind: 'new' };
            throw error;
        }
    }

    private _stateOf(opening: Opening): { readonly by: Opener } | undefined {
        return this._state.kind === 'opening' && this._state.opening === opening ? this._state : undefined;
    }
}
