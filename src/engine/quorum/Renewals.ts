/** A renewal that nobody waits for any more, or whose lease was released, is over. */
export interface RenewalUnderWay {
    readonly isOver: boolean;
}

/** The renewals that are under way, so that one asks for no vote once its lease was released. */
export class Renewals {
    private readonly _byLease = new Map<string, Set<{ isOver: boolean }>>();

    get size(): number {
        return this._byLease.size;
    }

    /** Runs a renewal of a lease. */
    async run<T>(key: string, holder: string, renew: (underWay: RenewalUnderWay) => Promise<T>): Promise<T> {
        const name = nameOf(key, holder);
        const underWay = { isOver: false };
        const all = this._byLease.get(name) ?? new Set();
        this._byLease.set(name, all.add(underWay));
        try {
            return await renew(underWay);
        } finally {
            underWay.isOver = true;
            all.delete(underWay);
            if (all.size === 0) this._byLease.delete(name);
        }
    }

    /** A lease is released. */
    released(key: string, holder: string): void {
        for (const underWay of this._byLease.get(nameOf(key, holder)) ?? []) underWay.isOver = true;
    }
}

/** No holder has a line break in it. */
function nameOf(key: string, holder: string): string {
    return `${holder}\r${key}`;
}
