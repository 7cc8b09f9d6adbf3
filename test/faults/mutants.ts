import { setTimeout as sleep } from 'node:timers/promises';
import type { Invariant } from './HistoryEvent';
import type { Lab, LabOptions } from './Lab';
import type { Pace } from './Pace';
import { suffer } from './Fault';
import { FAULTS } from './faults';
import type { Replacement } from './Mutant';

/** Something wrong in the library, and what it takes to see it. */
export interface MutantCase {
    readonly replacements: readonly Replacement[];
    /** One of these is broken. */
    readonly breaks: readonly Invariant[];
    readonly options?: Partial<Omit<LabOptions, 'pace'>>;
    readonly pace?: Partial<Pace>;
    /** What is done to the workers, if anything. */
    readonly run?: (lab: Lab) => Promise<void> | void;
    /** For how long the workers go on after that, at most: until it is seen, ms. */
    readonly lasts?: number;
    /** Before it comes to rest; to be undone after the workers have stopped. */
    readonly afterwards?: (lab: Lab) => void;
}

/** Nobody gives up. */
const PATIENT: Partial<Pace> = { tries: 0, impatient: 0, cancel: 0, overstay: 0 };

const TURN = 'engine/local/Turn.js';

/** The Lua scripts, each in one line of a module. */
const LUA = 'engine/redis/scripts/lua.js';

/** Two workers, each of which always has somebody who waits for the only key, and passes it on. */
const LOCAL = { localGrants: 3, keys: 1, workers: 2 } as const;

export const MUTANT_CASES: Readonly<Record<string, MutantCase>> = {
    'a release does not compare': {
        replacements: [
            [LUA, 'local is_held = current == holder\\n', 'local is_held = current\\n'],
            [LUA, 'return value == holder\\nend', 'return true\\nend'],
            [LUA, "ours = current and id ~= '' and takes_back(current, id)", "ours = current and id ~= ''"],
        ],
        breaks: ['I9'],
        options: { keys: 1 },
        pace: { cancel: 0.5 },
        lasts: 6000,
    },
    'a deadline counts from the reply': {
        replacements: [['engine/port/validity.js', 'return sentAt + ttl', 'return performance.now() + ttl']],
        breaks: ['I1'],
        options: { keys: 1, workers: 2 },
        // Both keep a key beyond its end, and one hears of its grants late.
        pace: { ...PATIENT, loops: 1, ttl: [300, 310], keepAlive: 0, overstay: 1 },
        run: ({ workers: [late] }) => late?.proxies[0]?.delay(80),
        lasts: 6000,
    },
    'a loss has no timer': {
        replacements: [
            ['engine/lease/KeepAlive.js', '(upkeep) => upkeep.due()', '(upkeep) => upkeep.isKept && upkeep.due()'],
        ],
        breaks: ['I2'],
        options: { keys: 1 },
        pace: { ...PATIENT, keepAlive: 0, overstay: 1 },
        lasts: 6000,
    },
    'a renewal takes the key also if another has it': {
        replacements: [
            [LUA, 'if not current or not holds(current, holder) then', 'if false then'],
            [
                LUA,
                "if left >= 0 then\\nredis.call('PEXPIRE', key, math.max(left, tonumber(ttl)))\\nend",
                "redis.call('SET', key, holder, 'PX', ttl)",
            ],
        ],
        breaks: ['I9'],
        options: { keys: 1, workers: 2 },
        // Renewals of one are held back while the other gets the key.
        pace: { ...PATIENT, ttl: [300, 310], keepAlive: 1, stay: 600 },
        run: async (lab) => {
            const [proxy] = lab.workers[0]?.proxies ?? [];
            for (let times = 0; times < 15 && lab.removals === 0; times += 1) {
                proxy?.pause('toServer');
                await sleep(450);
                proxy?.resume();
                await sleep(300);
            }
        },
    },
    'a keep-alive outlives the release': {
        replacements: [
            [
                'engine/lease/LeaseEndings.js',
                'const { leased } = ended.lease;\n        if (leased.length === 1)',
                'const { leased, ttl } = ended.lease;\n        const [{ key, holder }] = leased;\n        setInterval(() => void this._store.renew(key, holder, ttl), ttl / 3);\n        if (leased.length === 1)',
            ],
        ],
        breaks: ['I7'],
        pace: { keepAlive: 1 },
        lasts: 500,
    },
    'nothing is published': {
        replacements: [[LUA, "if channel == '' then\\nreturn true", 'if true then\\nreturn true']],
        breaks: ['I6'],
        options: { keys: 1, workers: 3, config: { 'options.ttl': 8000 } },
        pace: { ...PATIENT, ttl: [8000, 8000], stay: 30 },
        lasts: 6000,
    },
    'a given up acquisition leaves no tombstone': {
        replacements: [[LUA, "if underway == '1' and acquisition_of(id) == id then", 'if false then']],
        breaks: ['I7'],
        options: { keys: 1, workers: 2, config: { 'options.command_timeout': 300 } },
        pace: { loops: 6, tries: 0, overstay: 0, impatient: 1, stay: 20, ttl: [20_000, 20_000] },
        run: async ({ workers }) => {
            await sleep(300);
            // Not every connection has an attempt under way when it is given up.
            for (let times = 0; times < 4; times += 1) {
                for (const { proxies } of workers) proxies.forEach((proxy) => proxy.holdBack());
                await sleep(700);
            }
        },
        afterwards: ({ workers }) => {
            for (const { proxies } of workers) proxies.forEach((proxy) => proxy.letGo());
        },
    },
    'a fence does not look at the clock': {
        replacements: [[LUA, 'local first = now[1] * 1000000 + now[2]', 'local first = 1']],
        breaks: ['I3'],
        run: async (lab) => {
            const fault = FAULTS.find(({ name }) => name === 'clock deleted');
            for (let times = 0; times < 3; times += 1) {
                await sleep(500);
                if (fault !== undefined) await suffer(fault, lab);
            }
        },
    },
    'who came last is served first': {
        replacements: [
            [
                LUA,
                "redis.pcall('ZRANGEBYSCORE', queue, 0, '+inf', 'LIMIT', 0, 1)",
                "redis.pcall('ZREVRANGEBYSCORE', queue, '+inf', 0, 'LIMIT', 0, 1)",
            ],
        ],
        breaks: ['I5'],
        options: { keys: 1 },
        pace: PATIENT,
        lasts: 6000,
    },
    'a waiter asks again at once': {
        replacements: [
            [
                'engine/waiting/Alarms.js',
                'waiter.stoodInAt = now + delay;\n        this._set(waiter, delay);',
                'waiter.stoodInAt = now + delay;\n        this._set(waiter, 0);',
            ],
        ],
        breaks: ['I8'],
        options: { keys: 1 },
        pace: PATIENT,
        // What was sent is counted at the end.
        lasts: 3000,
    },
    'a key is passed on with the fence of the lease before': {
        replacements: [[TURN, 'this._fence += 1;', '']],
        breaks: ['I3'],
        options: LOCAL,
        pace: PATIENT,
        lasts: 6000,
    },
    'what is passed on is taken for a whole lease': {
        replacements: [
            [
                TURN,
                'this._isConfirmed = left >= this._ttl * NEARLY_ALL;',
                'this._isConfirmed = true;\n        this.deadline = now + this._ttl;',
            ],
        ],
        breaks: ['I1'],
        options: LOCAL,
        // Some keep a key beyond its end.
        pace: { ...PATIENT, keepAlive: 0, stay: 150, overstay: 0.5 },
        lasts: 6000,
    },
    'a key is passed on when its lease was lost': {
        replacements: [
            [
                'engine/local/LocalGrants.js',
                '(line) => line.over()',
                `(line) => {
                    const deadline = _clock.now() + line.ttl;
                    Object.assign(line._turn, { isFree: true, _fence: line._turn._fence + 1, deadline });
                    this._queue.set(line, deadline);
                    line._wake();
                }`,
            ],
        ],
        breaks: ['I1', 'I2'],
        options: LOCAL,
        pace: { ...PATIENT, keepAlive: 0, overstay: 0.5 },
        lasts: 6000,
    },
    'a key is passed on without end': {
        replacements: [[TURN, 'this._passes -= 1;', '']],
        breaks: ['I5'],
        options: LOCAL,
        pace: { ...PATIENT, stay: 20 },
        lasts: 6000,
    },
    'a key is passed on for longer than a third of its ttl': {
        replacements: [[TURN, ' || now >= this._passedUntil', '']],
        breaks: ['I5'],
        options: LOCAL,
        pace: { ...PATIENT, stay: 160 },
        lasts: 6000,
    },
    'who comes to a process is the second in its line': {
        replacements: [
            [
                'engine/local/Line.js',
                'this._waiting.add(id);',
                `const others = [...this._waiting].slice(1);
                for (const other of others) this._waiting.delete(other);
                for (const one of [id, ...others]) this._waiting.add(one);`,
            ],
        ],
        breaks: ['I5'],
        options: LOCAL,
        pace: PATIENT,
        lasts: 6000,
    },
};
