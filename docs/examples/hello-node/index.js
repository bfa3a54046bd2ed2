// Says what happened to which object. Runs unchanged on SCF and on Cosette.

exports.main_handler = async (event) => {
  const said = event.Records.map(({ cos, event: { eventName } }) => {
    // "/<appid>/<bucket>/<key>": the key may itself hold slashes.
    const key = cos.cosObject.key.split('/').slice(3).join('/');
    return `${eventName} ${cos.cosBucket.name} ${key} ${cos.cosObject.size} bytes`;
  });
  said.forEach((line) => console.log(line));
  return said;
};
