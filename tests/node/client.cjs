// The COS Node.js SDK pointed at the server in the two ways docs/clients.md shows.

exports.argument = JSON.parse(process.argv[2]);

exports.client = ({ sdk, way, server, id, key }, more) => {
  const COS = require(sdk);
  const ways = {
    proxy: { Proxy: `http://${server}` },
    ip: { Ip: server, ServiceDomain: server },
  };
  return new COS({ SecretId: id, SecretKey: key, Protocol: 'http:', ...ways[way], ...more });
};
