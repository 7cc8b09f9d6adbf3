import type { Redis } from 'ioredis';
import type { SingleServerOptions } from './SingleServer';
import type { ServerAddress } from './SlotMap';

export interface ClusterServersOptions extends Omit<SingleServerOptions, 'role' | 'tag' | 'borrowed'> {
    /** Servers that know the others. */
    readonly seeds: readonly ServerAddress[];
    /** Makes an ioredis client with `lazyConnect`; it is closed with this. */
    readonly connect: (address: ServerAddress) => Redis;
}
