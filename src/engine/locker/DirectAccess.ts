import { checkHolder, checkKey, checkPattern, checkTtl, checkType } from '../port/checks';
import type { LockEvent } from '../port/LockObserver';
import { promised } from '../port/LockStore';
import type { LockInfo, LockStore, ReleaseAnswer } from '../port/LockStore';
import { shareHolder } from '../port/ReservingRequest';

/** Who takes a key from its holder, and why: for the observer. */
export interface ForceReleaseOptions {
    readonly by: string;
    readonly reason: string;
    /** From whom, so that nobody else loses it. Default: from the one that has it. */
    readonly holder?: string | undefined;
    /** Handed to the observer. */
    readonly context?: unknown;
}

/** What is asked of the store about a key without a lease of this process. */
export class DirectAccess {
    constructor(
        private readonly _store: LockStore,
        private readonly _tell: (event: LockEvent) => void,
    ) {}

    async renew(key: string, holder: string, ttl: number): Promise<boolean> {
        checkKey(key);
        checkHolder(holder);
        checkTtl(ttl, key);
        return (await this._store.renew(key, holder, ttl)).kind === 'renewed';
    }

    async release(key: string, holder: string): Promise<boolean> {
        return (await this._release(key, holder)) === 'released';
    }

    async inspect(key: string): Promise<LockInfo> {
        checkKey(key);
        return this._store.inspect(key);
    }

    list(pattern: string): AsyncIterable<LockInfo> {
        checkPattern(pattern);
        return this._store.list(pattern);
    }

    async forceRelease(key: string, options: ForceReleaseOptions): Promise<string | undefined> {
        checkType(options, 'object', 'options');
        const { by, reason, context } = options;
        checkType(by, 'string', 'by');
        checkType(reason, 'string', 'reason');
        checkKey(key);
        if (options.holder !== undefined) checkHolder(options.holder);
        // Only from these holders: when one gives the key back meanwhile, the next one is not to lose it.
        const holders = options.holder === undefined ? await this._holdersOf(key) : [options.holder];
        const taken: string[] = [];
        for (const holder of holders) {
            if ((await this._taken(key, holder)) !== 'released') continue;
            this._tell({ kind: 'forced', key, holder, context, by, reason });
            taken.push(holder);
        }
        return taken[0];
    }

    private async _holdersOf(key: string): Promise<readonly string[]> {
        const { holder, holders } = await this.inspect(key);
        // Of a key that is shared it may have been lost by whom.
        return holders.length === 0 && holder !== undefined ? [holder] : holders.map((one) => one.holder);
    }

    private async _release(key: string, holder: string): Promise<ReleaseAnswer> {
        checkKey(key);
        checkHolder(holder);
        return this._taken(key, holder);
    }

    private _taken(key: string, holder: string): Promise<ReleaseAnswer> {
        shareHolder(this._store, key, holder);
        return promised((callback) => this._store.release({ key, holder }, callback));
    }
}
