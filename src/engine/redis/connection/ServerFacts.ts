/** What a server says of itself in INFO. */
export interface ServerFacts {
    /** New with every start of the server. */
    readonly runId: string | undefined;
    readonly version: string | undefined;
    readonly mode: 'standalone' | 'cluster' | 'sentinel' | undefined;
    readonly role: 'master' | 'replica' | undefined;
    /** Since its start, ms. */
    readonly uptime: number | undefined;
    /** The maxmemory-policy, if it may evict locks. */
    readonly evicts: string | undefined;
}

/** Reads the answer to INFO; what is missing (a proxy, an ACL) is undefined. */
export function readFacts(info: string): ServerFacts {
    const read = (name: string): string | undefined => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1];
    const policy = read('maxmemory_policy');
    const limited = read('maxmemory') !== undefined && read('maxmemory') !== '0';
    const role = read('role');
    const uptime = read('uptime_in_seconds');
    const mode = read('redis_mode') ?? read('server_mode');
    return {
        runId: read('run_id'),
        version: read('valkey_version') ?? read('redis_version'),
        mode: mode === 'standalone' || mode === 'cluster' || mode === 'sentinel' ? mode : undefined,
        role: role === 'master' ? 'master' : role === 'slave' || role === 'replica' ? 'replica' : undefined,
        uptime: uptime === undefined ? undefined : Number(uptime) * 1000,
        evicts: limited && policy !== undefined && policy !== 'noeviction' ? policy : undefined,
    };
}

/** Warnings for those who run the server. */
export function warningsOf({ evicts, role, version }: ServerFacts): string[] {
    const warnings: string[] = [];
    if (evicts !== undefined) {
        warnings.push(`Redis may evict locks: maxmemory-policy is ${evicts}; noeviction is safe.`);
    }
    if (role === 'replica') {
        warnings.push('Redis is a read-only replica: nothing can be locked there; connect to its master.');
    }
    const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
    if (version !== undefined && (major < 6 || (major === 6 && minor < 2))) {
        warnings.push(`Redis ${version} is older than 6.2, with which this library is not tested.`);
    }
    return warnings;
}
