// Prints the event exactly as it came: the order of its names too.
exports.main_handler = async (event, context) => {
  console.log('EVENT ' + JSON.stringify(event));
  return 'done';
};
