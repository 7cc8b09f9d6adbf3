import { ConfigParams } from 'pip-services4-components-node';
import { Descriptor } from 'pip-services4-components-node';
import { YamlConfigReader } from 'pip-services4-config-node';
import { DefaultRedisLockFactory } from '../../src';
import type { RedisLock } from '../../src';
import { configOf } from './lockOf';
import type { Settings } from './lockOf';

/**
 * The lock of a container's YAML file, made as a container makes it; not opened.
 *
 * @param environment of the process.
 * @param more        settings that go before those of the file.
 */
export function lockFrom(file: string, environment: Settings, more: Settings = {}): RedisLock {
    const config = YamlConfigReader.readConfig({ get: () => null }, file, configOf(environment));
    const sections = config.getSectionNames().map((name) => config.getSection(name));
    const section = sections.find((one) => one.getAsString('descriptor').startsWith('pip-services:lock:'));
    if (section === undefined) throw new Error(`There is no lock in ${file}`);
    const lock = new DefaultRedisLockFactory().create(Descriptor.fromString(section.getAsString('descriptor')));
    (lock as RedisLock).configure(ConfigParams.mergeConfigs(section, configOf(more)));
    return lock as RedisLock;
}
