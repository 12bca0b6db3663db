"""What can be changed about a result, folded away: how it is spoken, and what file it becomes."""

from ipywidgets import Checkbox, Dropdown, FloatSlider, IntSlider, Layout, VBox

from lipgan_colab.notebook.fold import Fold

PAUSES = {
    "closes in pauses": "normal",
    "closes in long pauses only": "gentle",
    "closes in every gap": "strict",
    "never rests": "off",
}
FILES = {"MP4, plays everywhere": "h264", "MP4 in H.265, smaller": "h265", "MOV in ProRes, for editing": "prores"}
ENDINGS = {"h264": ".mp4", "h265": ".mp4", "prores": ".mov"}
USUAL = "usual"  # None would be nothing chosen
QUALITIES = {"as good as the original looks": USUAL, "good, a smaller file": 23, "fair, the smallest file": 30}


class Adjustments:
    """The options that are seldom changed.

    Attributes:
        box: the widget to show.
        adjust, file: its two parts.
        controls: the controls by the names of `GenerateOptions`.
    """

    def __init__(self):
        wide = {"layout": Layout(width="98%"), "style": {"description_width": "150px"}}
        self.sync = IntSlider(0, -8, 8, description="Lips earlier · later", **wide)
        self.sharpen = FloatSlider(0.0, min=0, max=1, step=0.1, description="Sharper mouth", **wide)
        self.chin = FloatSlider(0.0, min=-0.2, max=0.5, step=0.05, description="Room for the chin", **wide)
        self.yaw = IntSlider(45, 15, 90, description="Largest turn of head", **wide)
        self.pauses = Dropdown(options=list(PAUSES.items()), value="normal", description="The mouth", **wide)
        smiles = [("is closed first, lips move freely", "auto"), ("stays as it is", "own")]
        self.smile = Dropdown(options=smiles, value="auto", description="A photo's open mouth", **wide)
        others = [("nobody else speaks", "same"), ("whoever is seen speaks", "anybody")]
        self.cuts = Dropdown(options=others, value="same", description="After a cut", **wide)
        self.any_face = Checkbox(description="Animals and drawings may speak, too", indent=False)
        self.mark = Checkbox(description='Write "AI-generated" into the picture', indent=False)

        self.codec = Dropdown(options=list(FILES.items()), value="h264", description="File", **wide)
        self.quality = Dropdown(options=list(QUALITIES.items()), value=USUAL, description="Picture", **wide)
        pixels = "Keep every pixel: a large file that few players show"
        self.lossless = Checkbox(description=pixels, indent=False, layout=Layout(width="98%"))
        for control in (self.codec, self.lossless):
            control.observe(lambda _: self._fit(), "value")

        self.controls = {
            "after_cuts": self.cuts,
            "any_face": self.any_face,
            "pauses": self.pauses,
            "sync_offset": self.sync,
            "pads": self.chin,
            "largest_yaw": self.yaw,
            "reference_mouth": self.smile,
            "sharpen": self.sharpen,
            "mark": self.mark,
            "codec": self.codec,
            "crf": self.quality,
            "lossless": self.lossless,
        }
        spoken = [self.pauses, self.smile, self.cuts, self.sync, self.sharpen, self.chin, self.yaw]
        spoken += [self.any_face, self.mark]
        self.adjust = Fold("Adjust how it is spoken", spoken)
        self.file = Fold("Kind of file", [self.codec, self.quality, self.lossless])
        self.box = VBox([self.adjust.box, self.file.box])

    def _fit(self) -> None:
        """Offer what goes with the kind of file."""
        self.lossless.disabled = self.codec.value == "prores"
        if self.lossless.disabled:
            self.lossless.value = False
        self.quality.disabled = self.codec.value == "prores" or self.lossless.value
        if self.quality.disabled:
            self.quality.value = USUAL

    @property
    def ending(self) -> str:
        """Of the result's name."""
        return ENDINGS[self.codec.value]

    def chosen(self) -> dict[str, object]:
        """What is set, by the names of `GenerateOptions`."""
        set_here = {name: control.value for name, control in self.controls.items()}
        crf = None if self.quality.value == USUAL else self.quality.value
        pads = (0.0, 0.0, self.chin.value, 0.0)
        return set_here | {"crf": crf, "pads": pads, "largest_yaw": float(self.yaw.value)}
