import type { Share } from '../../port/LockStore';

/** What is asked for, as queue.lua reads it: `<ttl>`, `<ttl>+<spare>`, and `*<permits>`, `*<permits>/<limit>` behind it. */
export function requestOf(ttl: number, spare = 0, share?: Share): string {
    const time = spare > 0 ? `${ttl}+${spare}` : String(ttl);
    if (share === undefined) return time;
    return `${time}*${share.permits}${share.limit === Infinity ? '' : `/${share.limit}`}`;
}

/** How a request that {@link requestOf} made shares the key; undefined: it does not. */
export function shareOf(request: string): Share | undefined {
    const [, permits, limit] = /\*(\d+)\/?(\d*)$/.exec(request) ?? [];
    if (permits === undefined) return undefined;
    return { permits: Number(permits), limit: limit === '' ? Infinity : Number(limit) };
}
