import { Option } from 'commander';
import type { Command } from 'commander';
import { ConfigException } from 'pip-services4-commons-node';
import { ConfigParams, Descriptor } from 'pip-services4-components-node';
import { YamlConfigReader } from 'pip-services4-config-node';
import { RedisLock } from '../lock/RedisLock';

/** The options that say where Redis is. */
export interface ConnectionOptions {
    readonly uri?: string;
    /** A container's file. */
    readonly config?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that hold secrets. The command of `run` does not inherit them. */
export const SECRETS = ['REDIS_PASS', 'REDIS_URI'] as const;

const LOCK = new Descriptor('*', 'lock', 'redis', '*', '*');

/** Adds the options that say where Redis is. */
export function withConnection(command: Command): Command {
    return command
        .addOption(
            new Option('--uri <uri>', 'redis://user:password@host:port/db, rediss://… for TLS').conflicts('config'),
        )
        .option('-c, --config <file>', "a container's YAML file, which has a pip-services:lock:redis component");
}

/** The configuration of a lock component, from a uri, a container's file, or the environment. */
export function configOf({ uri, config }: ConnectionOptions, environment: Environment): ConfigParams {
    if (uri !== undefined) return ConfigParams.fromTuples('connection.uri', uri);
    return config === undefined ? ofEnvironment(environment) : ofContainer(config, environment);
}

/** Opens a lock, hands it over, and closes it on every path. */
export async function withRedis<T>(config: ConfigParams, work: (lock: RedisLock) => Promise<T>): Promise<T> {
    const lock = new RedisLock();
    lock.configure(config);
    await lock.open(null);
    try {
        return await work(lock);
    } finally {
        await lock.close(null);
    }
}

function ofEnvironment(environment: Environment): ConfigParams {
    const value = (name: string): string | undefined => environment[name] || undefined;
    const settings = {
        'connection.uri': value('REDIS_URI'),
        'connection.host': value('REDIS_SERVICE_HOST') ?? 'localhost',
        'connection.port': value('REDIS_SERVICE_PORT') ?? '6379',
        'credential.username': value('REDIS_USER'),
        'credential.password': value('REDIS_PASS'),
    };
    return ConfigParams.fromTuples(
        ...Object.entries(settings)
            .filter(([, text]) => text !== undefined)
            .flat(),
    );
}

/** The section of the first Redis lock. Its templates see the environment, as those of a container do. */
function ofContainer(file: string, environment: Environment): ConfigParams {
    const parameters = ConfigParams.fromTuples(...Object.entries(environment).flat());
    const container = YamlConfigReader.readConfig({ get: () => undefined }, file, parameters);
    for (const name of container.getSectionNames()) {
        const section = container.getSection(name);
        const descriptor = section.getAsNullableString('descriptor');
        if (descriptor && LOCK.match(Descriptor.fromString(descriptor))) return checked(section, file);
    }
    throw new ConfigException('', 'BAD_OPTION', `${file} has no component "pip-services:lock:redis:*:1.0".`);
}

/** A container asks its discovery and its credential stores; here there is none of either. */
function checked(section: ConfigParams, file: string): ConfigParams {
    for (const name of section.getKeys()) {
        const [, kind] = /\.(discovery_key|store_key)$/.exec(name) ?? [];
        if (kind === undefined || !section.getAsNullableString(name)) continue;
        const asked = kind === 'store_key' ? 'a credential store' : 'a discovery';
        const text =
            `Option ${name} in ${file} asks ${asked}, which the command line does not have. ` +
            'Give --uri instead of --config, or REDIS_SERVICE_HOST, REDIS_USER and REDIS_PASS in the environment.';
        const error = new ConfigException('', 'BAD_OPTION', text);
        throw error.withDetails('option', name);
    }
    return section;
}
