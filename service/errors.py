"""What can go wrong, as a tree; no HTTP in it (`problems` gives each branch its status).

DigitsError
├── PictureError            something about the picture that was sent
│   ├── UnreadablePicture     a picture, but truncated or corrupt
│   ├── UnsupportedFormat     not a picture, or a format that is not accepted
│   ├── PictureTooLarge       more pixels than allowed, or too long and thin for a digit to be seen
│   └── NoInk                 nothing is drawn on it
├── RequestError            something about the request around it
│   ├── BodyTooLarge          more bytes than allowed
│   ├── BodyTooSlow           it did not come in time
│   ├── BodyCompressed        it would have to be unpacked first
│   ├── TooManyPictures       more pictures than allowed
│   ├── Unauthorized          no key, or one that is not known
│   ├── InvalidBody           a form or JSON without the expected fields
│   ├── InvalidJson           not JSON at all
│   ├── NotAcceptable         no representation of the kind that is asked for
│   ├── Overloaded            more work in hand than can be done in time
│   └── NoSuchModel           another model is asked than the one that is served
├── InvalidPixels           an array that is not in MNIST form
├── SettingsError           an environment variable has a value that cannot be used
├── ArtifactError           the model file is missing, damaged or foreign
├── NoSuchReport            nothing was measured on this model, or nothing of this name
└── WeightsError            a view of the weights that cannot be had
    ├── NoSuchLayer           the network has fewer layers
    └── NotAPicture           the layer's inputs are no picture, or the window shows none of its units
"""


class DigitsError(Exception):
    """Base of all; the message is one clear sentence for whoever made the request."""


class PictureError(DigitsError):
    """The picture cannot be answered."""


class UnreadablePicture(PictureError):
    """The format is known, its content is truncated or corrupt."""


class UnsupportedFormat(PictureError):
    """The bytes are no picture, or one in a format that is not accepted."""


class PictureTooLarge(PictureError):
    """The picture has more pixels than allowed, or would be reduced to less than one across; found in its header."""


class NoInk(PictureError):
    """The picture is blank."""


class RequestError(DigitsError):
    """The request cannot be understood."""


class BodyTooLarge(RequestError):
    """The body has more bytes than allowed."""


class BodyTooSlow(RequestError):
    """The body did not come in time."""


class BodyCompressed(RequestError):
    """The body is compressed as a whole."""


class TooManyPictures(RequestError):
    """The batch has more pictures than allowed."""


class Unauthorized(RequestError):
    """Keys are set, and the request carries none of them."""


class InvalidBody(RequestError):
    """The body does not hold what it should."""


class InvalidJson(RequestError):
    """The body says it is JSON and is not."""


class NotAcceptable(RequestError):
    """None of the representations is one that the client accepts."""


class Overloaded(RequestError):
    """There is more work in hand than can be done in time, or held in memory."""


class NoSuchModel(RequestError):
    """No model of this name and version is served."""


class InvalidPixels(DigitsError):
    """The array is not in MNIST form: wrong shape, or values out of range."""


class SettingsError(DigitsError):
    """A setting cannot be used; the message names its variable."""


class ArtifactError(DigitsError):
    """The model file cannot be served."""


class NoSuchReport(DigitsError):
    """There is no report on the model that is served, or no drawing of this name in it."""


class WeightsError(DigitsError):
    """This view of the weights does not exist."""


class NoSuchLayer(WeightsError):
    """The network has no layer of this number."""


class NotAPicture(WeightsError):
    """These weights cannot be drawn as pictures."""
