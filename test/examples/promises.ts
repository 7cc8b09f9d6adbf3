/** Which tests prove what the pages promise: by the first cell of each row of a table `what happens`. */
export const PROMISES: Readonly<Record<string, readonly string[]>> = {
    'Two callers want one key': ['1000 waiters are served in order with at most 3 commands each'],
    'The holder releases': ['100 waiters are served in order with at most 3 commands each'],
    'The holder dies': ['a dead holder is followed by the first in line, and nobody stampedes'],
    'The service is closed': ['frees its lock at once and leaves with 0 on SIGTERM'],
    'The work takes longer than a ttl': [
        'is alive after several ttls, without a gap',
        'runs out when it is not kept alive',
    ],
    'The event loop was blocked': [
        'is known to the first question after the event loop was blocked, and soon without one',
    ],
    'Redis is silent': ['is known at the deadline when the server freezes', 'costs a waiter nothing but time'],
    'Redis is back': [
        'is survived: what comes after it works, without opening again',
        'is undone when the server did it and only the answer was lost',
    ],
    'A holder writes too late': ['a guarded resource refuses the write of an earlier holder that comes late'],
    'A kept-alive key is deleted or taken': ['is known by the next renewal when the key is deleted'],
    'A key without renewal is deleted': ['runs out when it is not kept alive'],
    'A ttl passes while the lease is renewed': ['is alive after several ttls, without a gap'],
    "The holder's wall clock jumps forward": [
        'goes forward with a wall clock that is set forward: leases end early, never late',
    ],
    '1000 callers wait for one key': ['1000 waiters are served in order with at most 3 commands each'],
    'Somebody tries while others wait': ['is never overtaken by a plain try'],
    'Waiters die': ['killed waiters are passed over at once, however many they are'],
    'Waiters freeze': ['several frozen waiters cost one claim window each'],
    'A waiter gives up': ['a waiter that leaves when it has just been granted passes the lock on at once'],
    'Messages are lost': ['waiters who hear no message are served all the same'],
    'Redis is away while a caller waits': [
        'costs a waiter nothing but time',
        'a caller that has time waits until it is back',
    ],
    'There is no publish/subscribe': ['waiters poll in line when they may not subscribe'],
    'Another edition holds the key': ['a key is taken as soon as its foreign holder deletes it'],
    'A process may pass on (`local_grants`)': [
        'passes a hot key on in a process, as often as it is told and no oftener, with rising fences',
    ],
    'Redis comes back empty, or is flushed': [
        'rises over release, expiry, hand-off, SCRIPT FLUSH, FLUSHALL and a restart',
    ],
    'The master dies, Sentinels promote another': [
        'serves every waiter in order, with rising fences, and tells holders of lost leases in time',
    ],
    'A master of a cluster dies': ['survives the death of a master: everybody is served, in order, and fences rise'],
    'A slot of a cluster moves': ['loses no lease and no order while slots are moved under load'],
    'Replicas do not confirm (`options.acks`)': [
        'is taken back with NOT_REPLICATED when they do not confirm it in time',
    ],
    'The leader dies, freezes or is cut off': [
        'the next leads within the ttl and 50 ms when the leader is killed',
        'the next leads within the ttl and 50 ms when the leader is frozen, which knows when it thaws',
        'the next leads within the ttl and 50 ms when the leader is cut off, which knows by its deadline',
    ],
    'The leader closes its lock': ['the next leads at once when the leader closes'],
    'A leader loses its lease': [
        'tells the work, waits for it, stands in line again, and leads with a greater fence',
        'lets one lead at a time, and the same again after a loss, with a greater fence',
    ],
    'Redis is away while it waits': [
        'waits through a restart of Redis',
        'waits for Redis where its lock opens by itself',
    ],
    'A minority of a quorum fails': [
        'serves everybody, one at a time, with rising fences, when they are killed and restarted empty',
    ],
};
