"""Segments images of any size: JPEG, PNG, BMP, GIF, TIFF, WebP and PPM.

    python infer.py photo.jpg                              voc-fcn8s as solve.py trained it
    python infer.py DIR 'holiday/*.png' --net NET --weights FILE --out DIR
    python infer.py DIR --net nyud-fcn32s-color-hha --hha DIR

For each image two pictures: NAME.png, the labels in the VOC colours, and
NAME_overlay.jpg, the labels over the image with a legend. A net with two kinds of
labels draws NAME_geo.png and NAME_geo_overlay.jpg too.
"""

from fcn.cli import run_command

if __name__ == '__main__':
    run_command('infer')
