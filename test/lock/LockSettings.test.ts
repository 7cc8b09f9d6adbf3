import { assert } from 'chai';
import { ConfigParams } from 'pip-services4-components-node';
import { LockSettings } from '../../src/lock/LockSettings';
import { documentedOptions, listedOptions } from '../connect/documented';
import { RecordingConfig } from '../connect/RecordingConfig';
import { refusal } from '../connect/refusal';

const LONGEST = 2 ** 31 - 1;

type Setting = keyof Omit<LockSettings, 'budget'>;

const NUMBERS: [option: string, setting: Setting, standard: number | undefined, least: number, most: number][] = [
    ['retry_timeout', 'retryTimeout', 100, 1, LONGEST],
    ['retries', 'retries', undefined, 0, 1_000_000],
    ['ttl', 'ttl', 30_000, 1, LONGEST],
    ['yield_after', 'yieldAfter', 0, 0, 1_000_000],
    ['connect_timeout', 'connectTimeout', 5000, 1, LONGEST],
    ['command_timeout', 'commandTimeout', 3000, 1, LONGEST],
    ['acks', 'acks', 0, 0, 100],
    ['local_grants', 'localGrants', 0, 0, 32],
    ['acks_timeout', 'acksTimeout', 1000, 1, LONGEST],
    ['node_timeout', 'nodeTimeout', undefined, 1, LONGEST],
    ['max_block', 'maxBlock', 300_000, 1, LONGEST],
    ['max_held', 'maxHeld', 100_000, 1, 10_000_000],
    ['max_waiting', 'maxWaiting', 10_000, 1, 10_000_000],
];
const SWITCHES: [option: string, setting: Setting][] = [
    ['keep_alive', 'keepAlive'],
    ['keep_alive_thread', 'keepAliveThread'],
    ['reentrant', 'reentrant'],
];

function settings(...tuples: unknown[]): LockSettings {
    return new LockSettings(ConfigParams.fromTuples(...tuples));
}

suite('LockSettings', () => {
    for (const [option, setting, standard, least, most] of NUMBERS) {
        const name = `options.${option}`;

        test(`${name} is ${standard ?? 'not set'} by default, also when it is empty`, () => {
            assert.strictEqual(settings()[setting], standard);
            assert.strictEqual(settings(name, '')[setting], standard);
            assert.strictEqual(settings(name, null)[setting], standard);
        });

        test(`${name} may be from ${least} to ${most}`, async () => {
            for (const value of [least, most]) {
                assert.strictEqual(settings(name, value)[setting], value);
                assert.strictEqual(settings(name, ` ${value} `)[setting], value);
            }
            for (const value of [least - 1, most + 1]) {
                const error = await refusal(() => settings(name, value), name);
                assert.include(error.message, `from ${least} to ${most}`);
                assert.include(error.message, `"${value}"`);
            }
        });

        test(`${name} is a whole number and nothing that looks like one`, async () => {
            for (const value of ['abc', '30s', '1.5', '1e3', '0x10', '1,000', 'Infinity', 'NaN', '-', ' ', 'true']) {
                await refusal(() => settings(name, value), name);
            }
        });
    }

    for (const [option, setting] of SWITCHES) {
        const name = `options.${option}`;

        test(`${name} is false by default, and is switched by true, yes, 1 and false, no, 0`, () => {
            assert.strictEqual(settings()[setting], false);
            assert.strictEqual(settings(name, '')[setting], false);
            for (const value of [true, 'true', 'True', 'yes', '1', 1]) {
                assert.strictEqual(settings(name, value)[setting], true, String(value));
            }
            for (const value of [false, 'false', 'FALSE', 'no', '0', 0]) {
                assert.strictEqual(settings(name, value)[setting], false, String(value));
            }
        });

        test(`${name} is refused where it is neither true nor false`, async () => {
            for (const value of ['on', 'off', '2', 'truely', 'not true', ' ']) {
                await refusal(() => settings(name, value), name);
            }
        });
    }

    test('options.wait is auto by default, else queue or poll, and nothing else', async () => {
        assert.strictEqual(settings().wait, 'auto');
        for (const wait of ['auto', 'queue', 'poll']) assert.strictEqual(settings('options.wait', wait).wait, wait);
        const error = await refusal(() => settings('options.wait', 'Queue'), 'options.wait');
        assert.include(error.message, 'auto, queue, poll');
    });

    test('options.key_prefix is empty by default and taken as it is', () => {
        assert.strictEqual(settings().keyPrefix, '');
        assert.strictEqual(settings('options.key_prefix', 'locks:{a} ').keyPrefix, 'locks:{a} ');
    });

    test('options.drift_factor is a number from 0 to 0.5, 0.01 by default', async () => {
        assert.strictEqual(settings().driftFactor, 0.01);
        for (const value of ['0', '.1', '0.5']) {
            assert.strictEqual(settings('options.drift_factor', value).driftFactor, Number(value));
        }
        for (const value of ['-0.1', '0.51', '1 %', '1e-2', 'abc']) {
            await refusal(() => settings('options.drift_factor', value), 'options.drift_factor');
        }
    });

    test('options.acks is for servers with replicas, not for a quorum', async () => {
        const error = await refusal(() => settings('options.topology', 'quorum', 'options.acks', 1), 'options.acks');
        assert.include(error.message, 'quorum');
    });

    suite('documentation', () => {
        const parsed = (): string[] => {
            const config = new RecordingConfig();
            assert.instanceOf(new LockSettings(config), LockSettings);
            return config.options;
        };

        test('of RedisLock lists every option that is read, and no other', () => {
            const documented = [...documentedOptions('lock/RedisLock.ts').keys()];
            // Those two are said elsewhere: with the connection, and in docs/configuration.md.
            const expected = parsed().filter((option) => option !== 'connect_timeout' && option !== 'topology');
            assert.sameMembers(documented, expected);
        });

        test('of RedisLock gives the default of every number', () => {
            const documented = documentedOptions('lock/RedisLock.ts');
            for (const [option, , standard] of NUMBERS) {
                const text = documented.get(option);
                if (standard !== undefined && text !== undefined) assert.match(text, new RegExp(`\\b${standard}\\b`));
            }
        });

        test('on the page lists every option that is read, with its default', () => {
            const documented = listedOptions();
            const ofConnection = [...documentedOptions('connect/RedisConnector.ts').keys()];
            assert.sameMembers([...documented.keys()], [...new Set([...parsed(), ...ofConnection])]);
            for (const [option, , standard] of NUMBERS) {
                const expected = option === 'node_timeout' ? '5 % of the ttl' : String(standard ?? '–');
                assert.strictEqual(documented.get(option), expected, option);
            }
            for (const [option] of SWITCHES) assert.strictEqual(documented.get(option), 'false', option);
            assert.strictEqual(documented.get('wait'), 'auto');
            assert.strictEqual(documented.get('key_prefix'), '');
            assert.strictEqual(documented.get('topology'), 'single');
        });
    });

    suite('how long acquireLock waits', () => {
        test('is the timeout alone, where no retries are configured', () => {
            const configured = settings('options.retry_timeout', 50);
            for (const timeout of [0, 1, 149, 10_000, Infinity]) {
                assert.strictEqual(configured.budget(timeout), timeout);
            }
        });

        test('is what the retries take, where no timeout is given', () => {
            const configured = settings('options.retry_timeout', 50, 'options.retries', 7);
            assert.strictEqual(configured.budget(undefined), 350);
            assert.strictEqual(configured.budget(null), 350);
        });

        test('is the shorter of the two, where there are both', () => {
            const configured = settings('options.retry_timeout', 50, 'options.retries', 4);
            assert.strictEqual(configured.budget(150), 150);
            assert.strictEqual(configured.budget(10_000), 200);
            assert.strictEqual(configured.budget(Infinity), 200);
            assert.strictEqual(configured.budget(0), 0);
        });

        test('is three pauses, where there is neither', () => {
            assert.strictEqual(settings().budget(undefined), 300);
            assert.strictEqual(settings('options.retry_timeout', 40).budget(null), 120);
        });

        test('is nothing at all with no retries: one attempt', () => {
            const configured = settings('options.retries', 0);
            assert.strictEqual(configured.budget(undefined), 0);
            assert.strictEqual(configured.budget(10_000), 0);
        });

        test('is not made valid when it is not: a bad timeout is refused with a key, not cut', () => {
            const configured = settings('options.retries', 4);
            assert.isNaN(configured.budget(NaN));
            assert.strictEqual(configured.budget(-1), -1);
        });
    });
});
