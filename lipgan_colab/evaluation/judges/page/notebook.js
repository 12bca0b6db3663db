// The study in a notebook: films come from the kernel one by one, and every answer goes there at once.
export default {
  render({ model, el }) {
    const waiting = new Map();
    const onMessage = (message, buffers) => {
      const found = waiting.get(message.film);
      waiting.delete(message.film);
      if (found) found(URL.createObjectURL(new Blob([buffers[0]], { type: "video/mp4" })));
    };
    model.on("msg:custom", onMessage);
    const films = (id) =>
      new Promise((found) => {
        waiting.set(id, found);
        model.send({ film: id });
      });
    const root = document.createElement("div");
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab's: A and B would add cells
    if (window.Jupyter?.keyboard_manager) window.Jupyter.keyboard_manager.register_events(root);
    el.append(root);
    const keep = {
      works: true,
      here: true,
      keys: root,
      form: model.get("form"),
      load: () => (model.get("state").judge ? model.get("state") : null),
      save: (state) => {
        model.set("state", structuredClone(state));
        model.save_changes();
      },
    };
    judgeStudy(root, model.get("study"), model.get("words"), films, keep);
    return () => model.off("msg:custom", onMessage);
  },
};
