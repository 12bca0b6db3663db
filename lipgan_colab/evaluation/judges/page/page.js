// The study as a page of its own: films in the page or beside it, answers kept by the browser and sent by the judge.
(() => {
  const told = (id) => JSON.parse(document.getElementById(id).textContent);
  const study = told("study");
  const name = `lipgan-judge-${study.study}`;

  function film(id) {
    const inside = document.getElementById(`film-${id}`);
    if (inside === null) return Promise.resolve(`films/${id}.mp4`);
    const bytes = Uint8Array.from(atob(inside.textContent), (letter) => letter.charCodeAt(0));
    return Promise.resolve(URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })));
  }

  let works = true;
  try {
    localStorage.setItem(`${name}-test`, "1");
    localStorage.removeItem(`${name}-test`);
  } catch {
    works = false;
  }
  const asked = /^#(\d+)$/.exec(location.hash);
  const keep = {
    works,
    here: false,
    keys: document,
    form: asked ? Math.max(Number(asked[1]) - 1, 0) : null,
    load: () => {
      try {
        return JSON.parse(localStorage.getItem(name));
      } catch {
        return null;
      }
    },
    save: (state) => {
      if (works) localStorage.setItem(name, JSON.stringify(state));
    },
  };
  judgeStudy(document.getElementById("judge"), study, told("words"), film, keep);
})();
