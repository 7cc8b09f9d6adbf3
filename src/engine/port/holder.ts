import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

/** Where this process is, readable in redis-cli: `host:pid:random:`. */
let origin = '';
/** Of which process. */
let originPid: number | undefined;

let counter = 0;

/** An id of one acquisition, unique over all processes and time. */
export function newHolder(): string {
    const { pid } = process;
    // Not at load: processes that start from one snapshot would share the random part.
    if (pid !== originPid) {
        origin = `${hostname().replace(/\s/g, '_')}:${pid}:${randomBytes(6).toString('base64url')}:`;
        originPid = pid;
    }
    counter += 1;
    return origin + counter.toString(36);
}

/** Where a holder is; undefined: its id was not made here. */
export function originOf(holder: string): { readonly host: string; readonly pid: number } | undefined {
    const [, host, pid] = /^(\S+):(\d+):[\w-]{8}:[0-9a-z]+$/.exec(holder) ?? [];
    return host === undefined ? undefined : { host, pid: Number(pid) };
}
