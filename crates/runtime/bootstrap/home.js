// Brings home what clients do that look at no proxy (docs/egress.md): each connection to elsewhere is made to the
// instance's gateway instead, with a line that says where it was to go. TLS is made on top of such a connection.
'use strict';

const net = require('net');
const tls = require('tls');

exports.install = (port) => {
  const { connect } = net.Socket.prototype;

  function isHere(host) {
    return !host || host === 'localhost' || host === '::1' || host === '::' || host === '0.0.0.0' || /^127\./.test(host);
  }

  net.Socket.prototype.connect = function (...parts) {
    // net.connect hands on what it has already taken apart.
    const given = Array.isArray(parts[0]) ? parts[0] : parts;
    let [options] = given;
    if (typeof options !== 'object' || options === null) {
      options = { port: given[0], host: typeof given[1] === 'string' ? given[1] : undefined };
    }
    const numeric = options.port !== undefined && Number.isInteger(Number(options.port));
    if (options.path || !numeric || isHere(options.host)) return connect.apply(this, parts);
    // A TLS socket that was made without tls.connect cannot say it: its port is taken for 443, the name is in TLS.
    const listener = given.filter((part) => typeof part === 'function').pop();
    const { lookup, localAddress, localPort, family, ...rest } = options;
    const to = { ...rest, host: '127.0.0.1', port, autoSelectFamily: false };
    const result = listener ? connect.call(this, to, listener) : connect.call(this, to);
    if (!this.encrypted) {
      this.write(`PROXY TCP4 127.0.0.1 ${options.host} 1 ${options.port}\r\n`);
    }
    return result;
  };

  const { connect: secure } = tls;

  tls.connect = function (...given) {
    // ([port], [host], [options], [listener]): the options count more than what comes before them.
    const listener = given.filter((part) => typeof part === 'function').pop();
    const named = given.find((part) => typeof part === 'object' && part !== null);
    const [port, host] = typeof given[0] === 'object' ? [] : given;
    const options = { ...(port === undefined ? {} : { port }), ...(typeof host === 'string' ? { host } : {}), ...named };
    if (options.socket || options.path || options.port === undefined || isHere(options.host)) return secure.apply(this, given);
    const { timeout, ...rest } = options;
    const socket = net.connect({ host: options.host, port: options.port });
    const result = secure.call(this, { ...rest, socket }, listener);
    if (timeout) result.setTimeout(timeout);
    return result;
  };
  require('module').syncBuiltinESMExports();
};
