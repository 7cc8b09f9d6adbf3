import type { Clock } from '../time/Clock';
import {
    acquireNodeScript,
    acquireQueuedNodeScript,
    acquireQueuedScript,
    acquireScript,
    acquireSharedNodeScript,
    acquireSharedScript,
} from './scripts/acquire';
import type { AcquireQueuedReply, AcquireReply } from './scripts/acquire';
import { downgradeNodeScript, downgradeScript } from './scripts/downgrade';
import type { DowngradeReply } from './scripts/downgrade';
import {
    releaseNodeScript,
    releaseQueuedNodeScript,
    releaseQueuedScript,
    releaseScript,
    releaseSharedNodeScript,
    releaseSharedScript,
} from './scripts/release';
import type { ReleaseQueuedReply, ReleaseReply } from './scripts/release';
import { renewNodeScript, renewScript, renewSharedNodeScript, renewSharedScript } from './scripts/renew';
import type { RenewReply } from './scripts/renew';
import type { Script } from './scripts/Script';

/** What the commands of one store share. */
export interface CommandContext {
    /** Put before every key. */
    readonly prefix: string;
    readonly acquire: Script<AcquireReply>;
    readonly acquireShared: Script<AcquireReply>;
    readonly acquireQueued: Script<AcquireQueuedReply>;
    readonly release: Script<ReleaseReply>;
    readonly releaseShared: Script<ReleaseReply>;
    readonly releaseQueued: Script<ReleaseQueuedReply>;
    readonly renew: Script<RenewReply>;
    readonly renewShared: Script<RenewReply>;
    readonly downgrade: Script<DowngradeReply>;
    /** On a node of a quorum: the hint is its last argument. */
    readonly hinted: boolean;
    readonly drift: number | undefined;
    readonly clock: Clock;
}

/** @param isNode the store is a node of a quorum. */
export function contextOf(isNode: boolean, prefix: string, drift: number | undefined, clock: Clock): CommandContext {
    return {
        prefix,
        acquire: isNode ? acquireNodeScript : acquireScript,
        acquireShared: isNode ? acquireSharedNodeScript : acquireSharedScript,
        acquireQueued: isNode ? acquireQueuedNodeScript : acquireQueuedScript,
        release: isNode ? releaseNodeScript : releaseScript,
        releaseShared: isNode ? releaseSharedNodeScript : releaseSharedScript,
        releaseQueued: isNode ? releaseQueuedNodeScript : releaseQueuedScript,
        renew: isNode ? renewNodeScript : renewScript,
        renewShared: isNode ? renewSharedNodeScript : renewSharedScript,
        downgrade: isNode ? downgradeNodeScript : downgradeScript,
        hinted: isNode,
        drift,
        clock,
    };
}
