import type { ServerPlan } from '../connect/serverClients';
import type { FoundLogins } from '../connect/threadServers';
import type { LostRow, ToDeputy } from '../engine/deputy/messages';
import type { StoreSettings } from './storeOf';

/** What the keep-alive thread is started with. */
export interface ThreadWork {
    readonly kind: 'redis-lock';
    readonly plan: ServerPlan;
    readonly logins: FoundLogins;
    readonly settings: StoreSettings;
    /** @see Pulse */
    readonly pulse: SharedArrayBuffer;
    /** ms */
    readonly maxBlock: number;
}

/** What it is told. */
export type ToThread = ToDeputy | { readonly kind: 'logins'; readonly logins: FoundLogins };

/** What it tells. */
export type FromThread =
    | { readonly kind: 'lost'; readonly row: LostRow }
    | { readonly kind: 'failed'; readonly message: string }
    | { readonly kind: 'ready' }
    /** It connects, and would have the credentials of now for the next time. */
    | { readonly kind: 'connects' };
