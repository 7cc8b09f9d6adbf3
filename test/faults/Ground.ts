import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuorumNodes } from '../fixtures/QuorumNodes';
import { RedisCluster } from '../fixtures/RedisCluster';
import { RedisServer } from '../fixtures/RedisServer';
import { SentinelGroup } from '../fixtures/SentinelGroup';
import { ServerClock } from '../fixtures/ServerClock';
import { TcpProxy } from '../fixtures/TcpProxy';
import { refusing } from '../fixtures/CommandFilter';
import type { Topology } from '../../src/connect/serverClients';

type Config = Readonly<Record<string, string | number | boolean>>;

/** A worker's way to the servers. */
export interface Way {
    readonly config: Config;
    readonly proxies: readonly TcpProxy[];
}

/** The servers of a lab. Each kind has what its faults need. */
export type Ground = SingleGround | SentinelGround | ClusterGround | QuorumGround;

/** No lease of the lab is longer, ms. */
export const LONGEST_TTL = 600;

export class SingleGround implements AsyncDisposable {
    readonly kind = 'single';

    private constructor(
        readonly server: RedisServer,
        private readonly _dir: string,
        /** Or why there is none. */
        readonly clock: ServerClock | string,
    ) {}

    /** One server, with an append-only file and a clock that can be set. */
    static async start(): Promise<SingleGround> {
        const dir = mkdtempSync(join(tmpdir(), 'faults-'));
        const clock = ServerClock.create();
        const env = typeof clock === 'string' ? {} : clock.env;
        const args = ['--appendonly', 'yes', '--appendfsync', 'no'];
        return new SingleGround(await RedisServer.start({ dir, args, env }), dir, clock);
    }

    get servers(): readonly RedisServer[] {
        return [this.server];
    }

    /** Workers with an odd number speak RESP2: their subscription is a connection of its own. */
    async way(number: number): Promise<Way> {
        const proxy = await TcpProxy.start(this.server, number % 2 === 1 ? refusing('HELLO') : () => null);
        return { config: { 'connection.uri': uri(proxy) }, proxies: [proxy] };
    }

    /** Kills the server and starts it again without what it had. */
    async restartEmpty(): Promise<void> {
        await this.server.kill();
        rmSync(join(this._dir, 'appendonlydir'), { recursive: true, force: true });
        await this.server.restart();
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await this.server.stop();
        if (typeof this.clock !== 'string') this.clock[Symbol.dispose]();
        rmSync(this._dir, { recursive: true, force: true });
    }
}

export class SentinelGround implements AsyncDisposable {
    readonly kind = 'sentinel';

    private constructor(
        readonly group: SentinelGroup,
        readonly servers: readonly RedisServer[],
    ) {}

    static async start(): Promise<SentinelGround> {
        const group = await SentinelGroup.start();
        return new SentinelGround(group, [await group.master(), ...(await group.replicas())]);
    }

    /** Sentinels tell clients the addresses of the servers themselves: there is no proxy between. */
    way(): Promise<Way> {
        const config = { ...several(this.group.sentinels, 'sentinel'), 'options.sentinel_name': this.group.name };
        return Promise.resolve({ config, proxies: [] });
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await this.group[Symbol.asyncDispose]();
    }
}

export class ClusterGround implements AsyncDisposable {
    readonly kind = 'cluster';

    private constructor(readonly cluster: RedisCluster) {}

    static async start(): Promise<ClusterGround> {
        return new ClusterGround(await RedisCluster.start());
    }

    get servers(): readonly RedisServer[] {
        return this.cluster.servers;
    }

    /** As in SentinelGround. */
    way(): Promise<Way> {
        return Promise.resolve({ config: several(this.cluster.servers, 'cluster'), proxies: [] });
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await this.cluster[Symbol.asyncDispose]();
    }
}

export class QuorumGround implements AsyncDisposable {
    readonly kind = 'quorum';

    private constructor(readonly nodes: QuorumNodes) {}

    static async start(): Promise<QuorumGround> {
        const nodes = await QuorumNodes.start(3);
        await nodes.voting(LONGEST_TTL);
        return new QuorumGround(nodes);
    }

    get servers(): readonly RedisServer[] {
        return this.nodes.servers;
    }

    async way(): Promise<Way> {
        const proxies = await Promise.all(this.servers.map((server) => TcpProxy.start(server, () => null)));
        return { config: { ...several(proxies, 'quorum'), 'options.ttl': LONGEST_TTL }, proxies };
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await this.nodes[Symbol.asyncDispose]();
    }
}

export function startGround(topology: Topology): Promise<Ground> {
    switch (topology) {
        case 'single':
            return SingleGround.start();
        case 'sentinel':
            return SentinelGround.start();
        case 'cluster':
            return ClusterGround.start();
        case 'quorum':
            return QuorumGround.start();
    }
}

function several(servers: readonly { host: string; port: number }[], topology: Topology): Config {
    const uris = servers.map((server, at) => [`connections.${at}.uri`, uri(server)]);
    return { ...Object.fromEntries(uris), 'options.topology': topology };
}

function uri({ host, port }: { host: string; port: number }): string {
    return `redis://${host}:${port}`;
}
