"""What the formats of well-known data sets fix: names of classes, their numbers and colours."""

from .legends import Legend

# Cityscapes: the names of labelIds 0 to 33, and the 19 that are learned, in order of trainIds.
CITYSCAPES_IDS = (
    *('unlabeled', 'ego vehicle', 'rectification border', 'out of roi', 'static', 'dynamic'),
    *('ground', 'road', 'sidewalk', 'parking', 'rail track', 'building', 'wall', 'fence'),
    *('guard rail', 'bridge', 'tunnel', 'pole', 'polegroup', 'traffic light', 'traffic sign'),
    *('vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'caravan'),
    *('trailer', 'train', 'motorcycle', 'bicycle'),
)

CITYSCAPES = Legend(
    (
        *('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light'),
        *('traffic sign', 'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck'),
        *('bus', 'train', 'motorcycle', 'bicycle'),
    ),
    (
        *((128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153)),
        *((153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152)),
        *((70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100)),
        *((0, 80, 100), (0, 0, 230), (119, 11, 32)),
    ),
)

_CAMVID = (
    ('Animal', (64, 128, 64)),
    ('Archway', (192, 0, 128)),
    ('Bicyclist', (0, 128, 192)),
    ('Bridge', (0, 128, 64)),
    ('Building', (128, 0, 0)),
    ('Car', (64, 0, 128)),
    ('CartLuggagePram', (64, 0, 192)),
    ('Child', (192, 128, 64)),
    ('Column_Pole', (192, 192, 128)),
    ('Fence', (64, 64, 128)),
    ('LaneMkgsDriv', (128, 0, 192)),
    ('LaneMkgsNonDriv', (192, 0, 64)),
    ('Misc_Text', (128, 128, 64)),
    ('MotorcycleScooter', (192, 0, 192)),
    ('OtherMoving', (128, 64, 64)),
    ('ParkingBlock', (64, 192, 128)),
    ('Pedestrian', (64, 64, 0)),
    ('Road', (128, 64, 128)),
    ('RoadShoulder', (128, 128, 192)),
    ('Sidewalk', (0, 0, 192)),
    ('SignSymbol', (192, 128, 128)),
    ('Sky', (128, 128, 128)),
    ('SUVPickupTruck', (64, 128, 192)),
    ('TrafficCone', (0, 0, 64)),
    ('TrafficLight', (0, 64, 64)),
    ('Train', (192, 64, 128)),
    ('Tree', (128, 128, 0)),
    ('Truck_Bus', (192, 128, 192)),
    ('Tunnel', (64, 0, 64)),
    ('VegetationMisc', (192, 192, 0)),
    ('Void', (0, 0, 0)),
    ('Wall', (64, 192, 0)),
)
CAMVID = Legend(tuple(name for name, _ in _CAMVID), tuple(colour for _, colour in _CAMVID))
# CamVid with 11 classes, in the numbers of SegNet's `trainannot`.
CAMVID_11 = Legend(
    (
        *('Sky', 'Building', 'Pole', 'Road', 'Pavement', 'Tree', 'SignSymbol', 'Fence', 'Car'),
        *('Pedestrian', 'Bicyclist', 'Unlabelled'),
    )
)
# How the frames of CamVid's four films are named.
CAMVID_FRAMES = r'(?:0001tp|0006r0|0016e5|seq05vd)_f?\d+'
