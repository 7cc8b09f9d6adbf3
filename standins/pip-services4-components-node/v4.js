'use strict';
// What both stand-ins share: turning v3 exceptions into the v4 ones that the real packages throw.

const commons3 = require('pip-services3-commons-nodex');
const commons4 = require('pip-services4-commons-node');

class ContextResolver {
    static getTraceId(context) {
        return textOf(context, 'trace_id') ?? textOf(context, 'traceId');
    }

    static getClient(context) {
        return textOf(context, 'client');
    }

    static getUser(context) {
        return context == null ? null : context.get('user');
    }
}

// A v3 container passes a string as context; the real package throws a TypeError on it, and so does this.
function textOf(context, key) {
    const value = context == null ? null : context.get(key);
    return value ? String(value) : null;
}

// v3 code keeps the caller's context where v4 keeps the trace id, because it is handed one in place of the other.
function toV4(error) {
    if (!(error instanceof commons3.ApplicationException)) return error;
    return commons4.ApplicationExceptionFactory.create({
        category: error.category,
        status: error.status,
        code: error.code,
        message: error.message,
        details: error.details && commons4.StringValueMap.fromValue(error.details),
        trace_id: ContextResolver.getTraceId(error.correlation_id),
        cause: error.cause,
        stack_trace: error.stack_trace,
    });
}

function rethrowing(call) {
    try {
        const result = call();
        if (!(result instanceof Promise)) return result;
        return result.catch((error) => {
            throw toV4(error);
        });
    } catch (error) {
        throw toV4(error);
    }
}

/** A subclass of the same name whose listed methods, its own or static ones, throw v4 exceptions. */
function withV4Exceptions(base, ...methods) {
    const derived = { [base.name]: class extends base {} }[base.name];
    for (const [from, to] of [
        [base.prototype, derived.prototype],
        [base, derived],
    ]) {
        for (const method of methods.filter((name) => typeof from[name] === 'function')) {
            to[method] = function (...args) {
                return rethrowing(() => from[method].apply(this, args));
            };
        }
    }
    return derived;
}

module.exports = { ContextResolver, withV4Exceptions };
